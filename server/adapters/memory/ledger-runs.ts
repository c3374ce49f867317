import type { RunId, TenantId } from "../../core/ids.ts";
import { isEnded } from "../../core/run-state.ts";
import { resetMessageId } from "../../core/transcript.ts";
import type { AbortAnswer, RunFilter, RunLedger } from "../../ports/run-ledger.ts";
import { endRun, raiseToken, reopenRun, runRecord, settle, UNANSWERED } from "./runs.ts";
import { addSession } from "./sessions.ts";
import {
  findRun,
  findSession,
  type MemoryStoreState,
  type StoredRun,
  type StoredSession,
  tenantOf,
} from "./state.ts";

type RunMethods = Pick<RunLedger, "abort" | "redrive" | "get" | "getMany" | "list">;

/** What users do to runs, and how they look at them. */
export function ledgerRuns(state: MemoryStoreState): RunMethods {
  return {
    abort: async (tenant, target) => {
      if (target.runId !== undefined) {
        const { runId, sessionKey } = target;
        const run = findRun(state, tenant, runId);
        const named = run && (sessionKey === undefined || run.sessionKey === sessionKey);
        return [named ? abortOne(state, run) : { kind: "unknown" }];
      }
      const { sessionKey, beforeReset } = target;
      const session = findSession(state, tenant, sessionKey);
      if (!session) return [];
      if (beforeReset !== undefined && session.rowsById.has(resetMessageId(beforeReset))) return [];
      const open = session.lease ? [session.lease.run, ...session.queue] : [...session.queue];
      return open.map((run) => abortOne(state, run));
    },

    redrive: async (tenant, runId) => {
      const run = findRun(state, tenant, runId);
      if (!run) return null;
      reopenRun(run);
      const session = reopenSession(state, run);
      session.queue.push(run);
      return { run: runRecord(run), ready: settle(state, session) };
    },

    get: async (tenant, runId) => {
      const run = findRun(state, tenant, runId);
      return run ? runRecord(run) : null;
    },

    getMany: async (runs) =>
      runs.flatMap(({ tenant, runId }) => {
        const run = findRun(state, tenant, runId);
        return run ? [runRecord(run)] : [];
      }),

    list: async (tenant, filter) => listRuns(state, tenant, filter).map(runRecord),
  };
}

/** The run's session, made anew where it was deleted meanwhile. */
function reopenSession(state: MemoryStoreState, run: StoredRun): StoredSession {
  const tenant = tenantOf(state, run.tenant);
  return (
    tenant.sessions.get(run.sessionKey) ??
    addSession(state, tenant, {
      key: run.sessionKey,
      agentId: run.agentId,
      sessionId: run.sessionId,
      createdVia: "redrive",
    })
  );
}

function abortOne(state: MemoryStoreState, run: StoredRun): AbortAnswer {
  if (isEnded(run.status)) return { kind: "ended", run: runRecord(run) };
  const session = findSession(state, run.tenant, run.sessionKey);
  if (!session) return { kind: "unknown" };
  run.abortRequested = true;
  if (run.worker !== null) return { kind: "requested", run: runRecord(run), worker: run.worker };
  session.queue.splice(session.queue.indexOf(run), 1);
  endRun(state, run, "aborted", UNANSWERED);
  settle(state, session);
  // While another run of the session executes, its token stays the newest: a larger one would fence its holder.
  const token = session.lease ? session.lease.token : raiseToken(state, session);
  return { kind: "aborted", run: runRecord(run), token };
}

function listRuns(state: MemoryStoreState, tenant: TenantId, filter: RunFilter): StoredRun[] {
  const { sessionKey, status, limit, before } = filter;
  const newestFirst = Array.from(state.tenants.get(tenant)?.runs.values() ?? []).toReversed();
  return newestFirst
    .slice(startOfPage(newestFirst, before))
    .filter((run) => sessionKey === undefined || run.sessionKey === sessionKey)
    .filter((run) => status === undefined || status.includes(run.status))
    .slice(0, limit);
}

/** After the run named; where it is unknown there is nothing after it. */
function startOfPage(runs: readonly StoredRun[], before: RunId | undefined): number {
  if (before === undefined) return 0;
  const place = runs.findIndex((run) => run.runId === before);
  return place === -1 ? runs.length : place + 1;
}
