import type { AcceptAnswer, AcceptRequest } from "../../ports/run-ledger.ts";
import { runRecord, settle } from "./runs.ts";
import { addSession } from "./sessions.ts";
import type { MemoryStoreState, StoredRun } from "./state.ts";

/** Decides one request and stores what it decided. */
export function acceptOne(
  state: MemoryStoreState,
  request: AcceptRequest,
  maxQueuedPerSession: number,
): AcceptAnswer {
  const tenant = state.tenants.get(request.tenant);
  if (!tenant || tenant.disabled) return { kind: "refused", reason: "tenant-disabled" };

  const known = tenant.runs.get(request.runId);
  if (known) {
    const same = known.requestHash === request.requestHash && known.sessionKey === request.sessionKey;
    return same ? { kind: "existing", run: runRecord(known) } : { kind: "conflict" };
  }

  const existing = tenant.sessions.get(request.sessionKey);
  if (existing && existing.queue.length >= maxQueuedPerSession) {
    return { kind: "refused", reason: "session-queue-full" };
  }
  const session =
    existing ??
    addSession(state, tenant, {
      key: request.sessionKey,
      agentId: request.agentId,
      sessionId: request.newSessionId,
      createdVia: "send",
    });

  const run: StoredRun = {
    tenant: request.tenant,
    runId: request.runId,
    sessionKey: request.sessionKey,
    sessionId: session.sessionId,
    agentId: request.agentId,
    lane: request.lane,
    requestHash: request.requestHash,
    input: request.input,
    acceptedAt: state.now(),
    status: "queued",
    attempt: 0,
    failures: 0,
    losses: 0,
    worker: null,
    startedAt: null,
    endedAt: null,
    abortRequested: false,
    result: null,
    error: null,
    steps: new Map(),
    userMessageId: null,
    finished: null,
  };
  tenant.runs.set(run.runId, run);
  session.queue.push(run);
  return { kind: "new", run: runRecord(run), ready: settle(state, session) };
}
