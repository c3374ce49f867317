import { HAError } from "../../core/errors.ts";
import { isEnded, nextRunStatus, type RunMove } from "../../core/run-state.ts";
import {
  type EndedStatus,
  type FencingToken,
  MAX_FAILURES,
  MAX_LOSSES,
  type RunRecord,
} from "../../core/run.ts";
import type { SweepReport } from "../../ports/run-ledger.ts";
import type { ReadySession } from "../../ports/run-queue.ts";
import type { MemoryStoreState, StoredRun, StoredSession } from "./state.ts";

/** The moves of sessions and runs that the ledger's methods are made of. Each leaves the tables consistent. */

/** A copy that later changes do not reach. */
export const runRecord = (run: StoredRun): RunRecord => ({
  tenant: run.tenant,
  runId: run.runId,
  sessionKey: run.sessionKey,
  sessionId: run.sessionId,
  agentId: run.agentId,
  lane: run.lane,
  status: run.status,
  attempt: run.attempt,
  failures: run.failures,
  worker: run.worker,
  acceptedAt: run.acceptedAt,
  startedAt: run.startedAt,
  endedAt: run.endedAt,
  abortRequested: run.abortRequested,
  result: run.result,
  error: run.error,
});

export const poolOf = (state: MemoryStoreState, session: StoredSession): string =>
  state.tenants.get(session.tenant)?.pool ?? "shared";

/** A session as the queue carries it. Its lane is that of the run whose turn it is. */
export const readySession = (state: MemoryStoreState, session: StoredSession): ReadySession => ({
  tenant: session.tenant,
  sessionKey: session.key,
  lane: session.queue[0]?.lane ?? "main",
  pool: poolOf(state, session),
});

/**
 * Makes a session ready where it has a queued run and nobody holds it, and the reverse. Called at the end of every
 * change of queue or lease, so that readiness can neither be forgotten nor outlive its reason.
 * @returns the session when it became ready just now
 */
export function settle(state: MemoryStoreState, session: StoredSession): ReadySession | null {
  const shouldBeReady = session.lease === null && session.queue.length > 0;
  if (shouldBeReady === (session.ready !== null)) return null;
  if (!shouldBeReady) {
    session.ready = null;
    state.ready.delete(session);
    return null;
  }
  session.ready = { no: state.nextReadyNo(), since: state.now() };
  state.ready.add(session);
  return readySession(state, session);
}

/** A token larger than any of the session's before; from now on the older ones are refused. */
export function raiseToken(state: MemoryStoreState, session: StoredSession): FencingToken {
  session.token = state.nextToken();
  return session.token;
}

/** Takes the lease off a session; its run stays as it is. */
export function dropLease(state: MemoryStoreState, session: StoredSession): void {
  if (!session.lease) return;
  state.workers.get(session.lease.worker)?.held.delete(session);
  session.lease = null;
}

/** Puts the running run back to the head of its session's queue. */
export function requeue(session: StoredSession, run: StoredRun, move: "release" | "lose"): void {
  run.status = nextRunStatus(run.status, move);
  run.worker = null;
  session.queue.unshift(run);
}

/** A run that ended with its last holder, and the token under which its terminal event is published. */
export type BuriedRun = SweepReport["buried"][number];

/** True where the run will be dead if its holder is lost once more. */
export const diesOfNextLoss = ({ failures, losses }: StoredRun): boolean =>
  failures + 1 >= MAX_FAILURES || losses + 1 >= MAX_LOSSES;

/**
 * Takes a session from a holder that is gone. Its run is queued again at the head, or is dead when it has taken
 * MAX_FAILURES holders in a row with it, or MAX_LOSSES in all. The caller settles the session.
 */
export function loseHolder(state: MemoryStoreState, session: StoredSession): BuriedRun | null {
  const run = session.lease?.run;
  dropLease(state, session);
  if (!run) return null;
  const dies = diesOfNextLoss(run);
  run.failures++;
  run.losses++;
  if (!dies) {
    requeue(session, run, "lose");
    return null;
  }
  endRun(state, run, "dead", {
    result: null,
    error: {
      kind: "worker_lost",
      message: `${run.failures >= MAX_FAILURES ? `${run.failures} workers in a row` : `${run.losses} workers in all`} were lost while they executed this run; \`runs redrive\` tries it again`,
    },
  });
  return { run: runRecord(run), token: raiseToken(state, session) };
}

const END_MOVES: Readonly<Record<EndedStatus, RunMove>> = {
  succeeded: "succeed",
  failed: "fail",
  timed_out: "time_out",
  aborted: "abort",
  dead: "bury",
};

/** Ends a run. The caller takes it out of queue or lease. */
export function endRun(
  state: MemoryStoreState,
  run: StoredRun,
  status: EndedStatus,
  how: Pick<StoredRun, "result" | "error">,
): void {
  run.status = nextRunStatus(run.status, END_MOVES[status]);
  run.worker = null;
  run.endedAt = state.now();
  run.result = how.result;
  run.error = how.error;
}

/** How a run ends that was aborted before it said anything. */
export const UNANSWERED = { result: { text: "", stopReason: "aborted" }, error: null } as const;

/** Ends every open run of a session as aborted, because the session goes away. */
export function abortAllRuns(state: MemoryStoreState, session: StoredSession): void {
  const running = session.lease?.run;
  dropLease(state, session);
  for (const run of running ? [running, ...session.queue] : session.queue) {
    endRun(state, run, "aborted", UNANSWERED);
  }
  session.queue.length = 0;
  raiseToken(state, session);
  settle(state, session);
}

/** @throws HAError TRANSITION_INVALID unless the run ended in a way that a redrive may follow */
export function reopenRun(run: StoredRun): void {
  if (!isEnded(run.status)) {
    throw new HAError(
      "TRANSITION_INVALID",
      `run ${run.runId} is ${run.status}: only ended runs are redriven`,
      {
        runId: run.runId,
        status: run.status,
      },
    );
  }
  run.status = nextRunStatus(run.status, "redrive");
  run.failures = 0;
  run.losses = 0;
  run.abortRequested = false;
  run.startedAt = null; // its deadline counts from the next claim
  run.steps.clear(); // the transcript may have gone on since: it starts from its message again
  run.userMessageId = null;
  run.finished = null;
  run.endedAt = null;
  run.result = null;
  run.error = null;
}
