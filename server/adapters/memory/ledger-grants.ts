import { nextRunStatus } from "../../core/run-state.ts";
import type { NewMessage, TranscriptRow } from "../../core/transcript.ts";
import type {
  CheckpointAnswer,
  CheckpointRequest,
  ClaimAnswer,
  FinishAnswer,
  FinishRequest,
  Grant,
  GrantRef,
  StartedTool,
  Step,
} from "../../ports/run-ledger.ts";
import type { ReadySession } from "../../ports/run-queue.ts";
import { collectBehind, steerInto } from "./ledger-queue-modes.ts";
import { activeWorker, isSilent } from "./ledger-workers.ts";
import {
  diesOfNextLoss,
  dropLease,
  endRun,
  loseHolder,
  poolOf,
  raiseToken,
  readySession,
  requeue,
  settle,
} from "./runs.ts";
import {
  findRun,
  findSession,
  type MemoryStoreState,
  type StoredLease,
  type StoredRun,
  type StoredSession,
  type StoredWorker,
} from "./state.ts";
import { appendMessage, headSeq } from "./transcript.ts";

/** One session for one worker: the lease where it can be had, and the oldest queued run with it. */
export function claimOne(state: MemoryStoreState, worker: StoredWorker, session: StoredSession): ClaimAnswer {
  const { lease } = session;
  if (lease) {
    // Asked again after an unknown outcome: the grant stands and is told once more.
    if (lease.worker === worker.worker) return { kind: "granted", grant: grantOf(state, session, lease) };
    // A run that would die of this loss is left to the sweep, which reports it to be announced.
    if (!isSilent(state, lease.worker) || diesOfNextLoss(lease.run)) return { kind: "busy" };
    loseHolder(state, session);
  }
  const grant = grantNext(state, worker, session);
  return grant ? { kind: "granted", grant } : { kind: "empty" };
}

/** Grants the head of the queue of a session that nobody holds, to a worker that serves its tenant's pool. */
export function grantNext(
  state: MemoryStoreState,
  worker: StoredWorker,
  session: StoredSession,
): Grant | null {
  if (!worker.pools.includes(poolOf(state, session))) return null;
  const run = session.queue.shift();
  if (!run) return null;
  run.status = nextRunStatus(run.status, "claim");
  if (run.attempt === 0 && run.queueMode === "collect") collectBehind(state, session, run);
  run.attempt++;
  run.worker = worker.worker;
  run.startedAt ??= state.now();
  // The same at every attempt, so that the row is written once; a redriven run gets another one at the new place.
  run.userMessageId ??= `${run.runId}:user${run.attempt > 1 ? `:${run.attempt}` : ""}`;
  session.lease = {
    worker: worker.worker,
    run,
    token: raiseToken(state, session),
    checkpointNo: 0,
    steered: new Map(),
  };
  worker.held.add(session);
  settle(state, session);
  return grantOf(state, session, session.lease);
}

/** The grant as it stands. Writes the run's user row where the transcript has none yet. */
function grantOf(state: MemoryStoreState, session: StoredSession, lease: StoredLease): Grant {
  const { run, token } = lease;
  const user = {
    messageId: run.userMessageId ?? `${run.runId}:user`,
    idempotencyKey: `${run.runId}:user`,
    body: run.input.body,
  };
  const userRow = appendMessage(state, session, user, run.runId).row;
  return {
    tenant: run.tenant,
    sessionKey: run.sessionKey,
    runId: run.runId,
    token,
    sessionId: session.sessionId,
    agentId: run.agentId,
    lane: run.lane,
    pool: poolOf(state, session),
    attempt: run.attempt,
    failures: run.failures,
    input: run.input,
    acceptedAt: run.acceptedAt,
    startedAt: run.startedAt ?? state.now(),
    userRow,
    headSeq: headSeq(session),
    resetSeq: session.resetSeq,
    sessionModel: session.model,
    sessionThinking: session.thinkingLevel,
    stepsDone: run.steps.size,
    startedTools: openTools(run),
    abortRequested: run.abortRequested,
    collected: run.attempt === 1 ? run.collected : [],
  };
}

/** Tool calls that were recorded as started and have no result. */
function openTools(run: StoredRun): StartedTool[] {
  const open = new Map<string, StartedTool>();
  for (const step of run.steps.values()) {
    if (step.kind === "tool_started") {
      const { toolCallId, toolName, idempotent } = step;
      open.set(toolCallId, { toolCallId, toolName, idempotent });
    }
    if (step.kind === "tool_result") open.delete(step.toolCallId);
  }
  return Array.from(open.values());
}

/** The session and lease that a grant names, or null where it is no longer the newest. */
function held(
  state: MemoryStoreState,
  grant: GrantRef,
): { session: StoredSession; lease: StoredLease } | null {
  const session = findSession(state, grant.tenant, grant.sessionKey);
  const lease = session?.lease;
  if (!session || !lease || lease.token !== grant.token || lease.run.runId !== grant.runId) return null;
  return { session, lease };
}

/** Appends steps and rows of a run; what was recorded before is not doubled. */
function record(
  state: MemoryStoreState,
  session: StoredSession,
  run: StoredRun,
  steps: readonly Step[],
  messages: readonly NewMessage[],
): { rows: TranscriptRow[]; progress: boolean } {
  let progress = false;
  for (const step of steps) {
    if (run.steps.has(step.stepNo)) continue;
    run.steps.set(step.stepNo, { ...step, at: state.now() });
    // A started tool alone is none: a run that dies with its worker in the same tool each time must be buried.
    if (step.kind !== "tool_started") progress = true;
  }
  const rows = messages.map((message) => {
    const { row, added } = appendMessage(state, session, message, run.runId);
    if (added) progress = true;
    return row;
  });
  return { rows, progress };
}

export function checkpointOne(state: MemoryStoreState, request: CheckpointRequest): CheckpointAnswer {
  const found = held(state, request.grant);
  if (!found) return { kind: "fenced" };
  const { session, lease } = found;
  const repeated = request.checkpointNo <= lease.checkpointNo;
  const { rows, progress } = record(
    state,
    session,
    lease.run,
    repeated ? [] : request.steps,
    request.messages,
  );
  if (progress) lease.run.failures = 0;
  lease.checkpointNo = Math.max(lease.checkpointNo, request.checkpointNo);
  const { abortRequested } = lease.run;
  if (request.steer && !repeated && !abortRequested) {
    lease.steered.set(request.checkpointNo, steerInto(state, session, lease.run));
  }
  const steered = (lease.steered.get(request.checkpointNo) ?? []).map(({ runId, row }) => {
    const body = findRun(state, lease.run.tenant, runId)?.input.body ?? row.body; // it may have moved meanwhile
    return { runId, row: { ...row, body } };
  });
  return { kind: "stored", rows, headSeq: headSeq(session), abortRequested, steered };
}

export function finishOne(state: MemoryStoreState, request: FinishRequest): FinishAnswer {
  const found = held(state, request.grant);
  if (!found) return repeatedFinish(state, request);
  const { session, lease } = found;
  const { run } = lease;
  const { rows } = record(state, session, run, request.steps, request.messages);
  endRun(state, run, request.status, request);
  session.updatedAt = state.now();
  session.lastRunId = run.runId;
  session.inputTokens += request.result?.usage?.input ?? 0;
  session.outputTokens += request.result?.usage?.output ?? 0;
  session.contextTokens = request.result?.contextTokens ?? null;
  dropLease(state, session);

  const worker = request.takeNext ? activeWorker(state, lease.worker) : null;
  const next = worker && grantNext(state, worker, session);
  run.finished = { token: lease.token, next: next?.token ?? null };
  return { kind: "finished", rows, headSeq: headSeq(session), next, ready: settle(state, session) };
}

/** The answer to a finish whose first answer got lost: the same, as far as it still holds. */
function repeatedFinish(state: MemoryStoreState, { grant, messages }: FinishRequest): FinishAnswer {
  const session = findSession(state, grant.tenant, grant.sessionKey);
  const finished = findRun(state, grant.tenant, grant.runId)?.finished;
  if (!session || finished?.token !== grant.token) return { kind: "fenced" };
  const { lease } = session;
  return {
    kind: "finished",
    rows: messages.map((message) => appendMessage(state, session, message, grant.runId).row),
    headSeq: headSeq(session),
    next: lease && lease.token === finished.next ? grantOf(state, session, lease) : null,
    ready: session.ready ? readySession(state, session) : null,
  };
}

/** Null for a grant that is no longer the newest, and where the session is not ready afterwards. */
export function releaseOne(state: MemoryStoreState, grant: GrantRef): ReadySession | null {
  const found = held(state, grant);
  if (found) {
    dropLease(state, found.session);
    requeue(found.session, found.lease.run, "release");
    return settle(state, found.session);
  }
  // Asked again after an unknown outcome: still ready, and no newer grant since.
  const session = findSession(state, grant.tenant, grant.sessionKey);
  return session?.ready && session.token === grant.token ? readySession(state, session) : null;
}
