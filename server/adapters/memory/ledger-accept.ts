import type { QueueMode } from "../../core/queue-mode.ts";
import type { AcceptAnswer, AcceptRequest } from "../../ports/run-ledger.ts";
import { limitOf } from "./limits.ts";
import { runRecord, settle } from "./runs.ts";
import { addSession } from "./sessions.ts";
import type { MemoryStoreState, StoredRun, StoredSession } from "./state.ts";

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

  const limit = limitOf(state, tenant, request.sessionKey);
  if (limit !== null) return { kind: "refused", reason: limit };

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
    queueMode: effectiveMode(session, request),
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
    collected: [],
  };
  const interrupted = run.queueMode === "interrupt" ? interrupt(session) : null;
  tenant.runs.set(run.runId, run);
  session.queue.push(run);
  return { kind: "new", run: runRecord(run), ready: settle(state, session), interrupted };
}

function effectiveMode(session: StoredSession, { queueMode = "followup" }: AcceptRequest): QueueMode {
  if (session.lease === null && session.queue.length === 0) return "followup";
  if (typeof queueMode === "string") return queueMode;
  return (session.queueMode as QueueMode | null) ?? queueMode.orElse;
}

/** Marks what has begun as aborted: also a run that lost its worker and waits for the next one. */
function interrupt(session: StoredSession): Extract<AcceptAnswer, { kind: "new" }>["interrupted"] {
  for (const run of session.queue) if (run.startedAt !== null) run.abortRequested = true;
  if (!session.lease) return null;
  const { run, worker } = session.lease;
  run.abortRequested = true;
  return { runId: run.runId, worker };
}
