import { HAError } from "./errors.ts";
import type { EndedStatus, RunStatus } from "./run.ts";

/**
 * Who moves a run: the worker (claim, release, succeed, fail, time_out, and merge: its message joins another run), a user
 * (abort, redrive), the sweep (lose, bury).
 */
export type RunMove =
  "claim" | "merge" | "release" | "lose" | "succeed" | "fail" | "time_out" | "abort" | "bury" | "redrive";
type Row = Partial<Record<RunMove, RunStatus>>;

/** Every legal move; `satisfies` stops the build until a new status has a row. SQL obeys the same table. */
export const RUN_MOVES = {
  queued: { claim: "running", merge: "succeeded", abort: "aborted" },
  running: {
    release: "queued", // a draining worker hands the run back
    lose: "queued", // its worker died or stalled: another one resumes at the checkpoint
    bury: "dead", // lost MAX_FAILURES times in a row without progress, or MAX_LOSSES times in all
    succeed: "succeeded",
    fail: "failed",
    time_out: "timed_out",
    abort: "aborted",
  },
  succeeded: {},
  aborted: {},
  timed_out: { redrive: "queued" },
  failed: { redrive: "queued" },
  dead: { redrive: "queued" },
} as const satisfies Record<RunStatus, Row>;

/** @throws HAError TRANSITION_INVALID */
export function nextRunStatus(status: RunStatus, move: RunMove): RunStatus {
  const next = (RUN_MOVES[status] as Row)[move];
  if (next !== undefined) return next;
  throw new HAError("TRANSITION_INVALID", `a ${status} run cannot ${move}`, { status, move });
}

/** True once the run has its one terminal event and will change only by a redrive. */
export const isEnded = (status: RunStatus): status is EndedStatus =>
  status !== "queued" && status !== "running";
