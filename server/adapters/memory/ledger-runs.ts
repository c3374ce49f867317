import type { RunId, TenantId } from "../../core/ids.ts";
import { isEnded } from "../../core/run-state.ts";
import { resetMessageId } from "../../core/transcript.ts";
import type { RunStatus } from "../../core/run.ts";
import type {
  AbortAnswer,
  LaneBacklog,
  RecordedStep,
  RunFilter,
  RunLedger,
  RunningRun,
} from "../../ports/run-ledger.ts";
import { endRun, raiseToken, reopenRun, runRecord, settle, UNANSWERED } from "./runs.ts";
import { addSession } from "./sessions.ts";
import {
  findRun,
  findSession,
  type MemoryStoreState,
  type StoredRun,
  type StoredSession,
  type StoredTenant,
  tenantOf,
} from "./state.ts";
import { stopSubagents } from "./subagents.ts";

type RunMethods = Pick<
  RunLedger,
  "abort" | "redrive" | "get" | "getMany" | "list" | "queued" | "steps" | "running" | "failures" | "lanes"
>;

/** What users do to runs, and how they look at them. */
export function ledgerRuns(state: MemoryStoreState): RunMethods {
  return {
    abort: async (tenant, target) => {
      if (target.runId !== undefined) {
        const { runId, sessionKey, stopSubagents: withSubagents = false } = target;
        const run = findRun(state, tenant, runId);
        const named = run && (sessionKey === undefined || run.sessionKey === sessionKey);
        if (named && withSubagents) stopSubagents(state, tenant, run.sessionKey, runId);
        return [named ? abortOne(state, run) : { kind: "unknown" }];
      }
      const { sessionKey, beforeReset, stopSubagents: withSubagents = false } = target;
      const session = findSession(state, tenant, sessionKey);
      if (!session) return [];
      if (beforeReset !== undefined && session.rowsById.has(resetMessageId(beforeReset))) return [];
      if (withSubagents) stopSubagents(state, tenant, session.key, undefined);
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

    queued: async (tenant, key, limit) => {
      const queue = findSession(state, tenant, key)?.queue ?? [];
      const waiting = queue.filter(({ status }) => status === "queued");
      const items = waiting
        .slice(0, limit)
        .map(({ runId, acceptedAt, input }) => ({ runId, acceptedAt, body: input.body }));
      return { items, total: waiting.length };
    },

    list: async (tenant, filter) => listRuns(state, tenant, filter).map(runRecord),

    steps: async (tenant, runId) => recordedSteps(findRun(state, tenant, runId)),

    running: async (limit) =>
      allRuns(state)
        .filter(({ status }) => status === "running")
        .toReversed()
        .sort((a, b) => (a.startedAt ?? 0) - (b.startedAt ?? 0))
        .slice(0, limit)
        .map(runningRun),

    lanes: async (limit) => laneBacklog(state).slice(0, limit),

    failures: async (limit) =>
      allRuns(state)
        .filter(({ status }) => FAILED.has(status))
        .sort((a, b) => (b.endedAt ?? 0) - (a.endedAt ?? 0))
        .slice(0, limit)
        .map(runRecord),
  };
}

const FAILED: ReadonlySet<RunStatus> = new Set(["failed", "timed_out", "dead"]);

/** Those accepted last first. */
const allRuns = (state: MemoryStoreState): StoredRun[] =>
  [...state.tenants.values()].flatMap(({ runs }) => [...runs.values()].toReversed());

const recordedSteps = (run: StoredRun | undefined): RecordedStep[] =>
  [...(run?.steps.values() ?? [])]
    .filter((step) => step.kind !== "model")
    .sort((a, b) => a.stepNo - b.stepNo);

function runningRun(run: StoredRun): RunningRun {
  const newest = recordedSteps(run).at(-1);
  return {
    run: runRecord(run),
    steps: run.steps.size,
    step: newest
      ? {
          kind: newest.kind,
          toolName: newest.kind === "tool_started" ? newest.toolName : null,
          at: newest.at,
        }
      : null,
  };
}

/** Those that wait, the longest first, and then those that only run. */
function laneBacklog(state: MemoryStoreState): LaneBacklog[] {
  const lanes = new Map<string, { -readonly [Field in keyof LaneBacklog]: LaneBacklog[Field] }>();
  const laneOf = ({ id, pool }: Pick<StoredTenant, "id" | "pool">, lane: string) => {
    const name = `${id} ${lane}`;
    const known = lanes.get(name) ?? { tenant: id, pool, lane, ready: 0, running: 0, oldestReadyMs: null };
    lanes.set(name, known);
    return known;
  };
  for (const { queue, ready, tenant } of state.ready) {
    const lane = laneOf(tenantOf(state, tenant), queue[0]?.lane ?? "main");
    lane.ready++;
    lane.oldestReadyMs ??= ready === null ? null : state.now() - ready.since;
  }
  for (const { sessions, ...tenant } of state.tenants.values()) {
    for (const { lease } of sessions.values()) if (lease) laneOf(tenant, lease.run.lane).running++;
  }
  return [...lanes.values()];
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
  const { sessionKey, agentId, status, errorKind, since = 0, limit, before } = filter;
  const newestFirst = Array.from(state.tenants.get(tenant)?.runs.values() ?? []).toReversed();
  return newestFirst
    .slice(startOfPage(newestFirst, before))
    .filter((run) => sessionKey === undefined || run.sessionKey === sessionKey)
    .filter((run) => agentId === undefined || run.agentId === agentId)
    .filter((run) => status === undefined || status.includes(run.status))
    .filter((run) => errorKind === undefined || run.error?.kind === errorKind)
    .filter((run) => run.acceptedAt >= since)
    .slice(0, limit);
}

/** After the run named; where it is unknown there is nothing after it. */
function startOfPage(runs: readonly StoredRun[], before: RunId | undefined): number {
  if (before === undefined) return 0;
  const place = runs.findIndex((run) => run.runId === before);
  return place === -1 ? runs.length : place + 1;
}
