import type { CronJob, CronStatus } from "../core/cron.ts";
import type { RunRecord } from "../core/run.ts";
import type { CronSettlement } from "../ports/cron-store.ts";
import { nextRunAfter } from "./schedule.ts";

/** How long a job rests after its n-th failure in a row; the last one stands for all further ones. */
const BACKOFF_MS = [30_000, 60_000, 300_000, 900_000, 3_600_000];
/** Failures in a row after which a passing cause is not believed in any more. */
const RETRIES_MAX = 3;
/** Failures in a row after which a recurring job is switched off. */
export const FAILURES_MAX = 10;
/** Causes that may be gone in half a minute. */
const PASSING = new Set(["model_unavailable", "worker_lost"]);

const backoffMs = (errors: number): number =>
  BACKOFF_MS[Math.min(errors, BACKOFF_MS.length) - 1] ?? BACKOFF_MS[0]!;

/**
 * How a job goes on after its run, by the rules of the genuine gateway: the next time counts from the end of the run;
 * after a failure the job rests, for longer each time; a cause that may pass is tried again before its time; a job for one
 * time is removed or switched off; a run by hand changes nothing of the schedule.
 */
export function afterRun(job: CronJob, run: RunRecord): CronSettlement {
  const startedAt = job.running?.since ?? run.acceptedAt;
  const endedAt = run.endedAt ?? startedAt;
  const { status, error } = outcomeOf(run);
  const last = { at: startedAt, status, error, durationMs: Math.max(0, endedAt - startedAt) };
  const consecutiveErrors = status === "error" ? job.consecutiveErrors + 1 : 0;
  const settled = { job, runId: run.runId, last, consecutiveErrors };
  if (!job.enabled) return { ...settled, enabled: false, nextRunAt: null, remove: false };
  if (job.running?.manual === true)
    return { ...settled, enabled: true, nextRunAt: job.nextRunAt, remove: false };
  const isPassing =
    status === "error" && consecutiveErrors <= RETRIES_MAX && PASSING.has(run.error?.kind ?? "");
  const retryAt = endedAt + backoffMs(consecutiveErrors);

  if (job.definition.schedule.kind === "at") {
    if (isPassing) return { ...settled, enabled: true, nextRunAt: retryAt, remove: false };
    const remove = status === "ok" && job.definition.deleteAfterRun === true;
    return { ...settled, enabled: false, nextRunAt: null, remove };
  }
  if (consecutiveErrors >= FAILURES_MAX)
    return { ...settled, enabled: false, nextRunAt: null, remove: false };
  const natural = nextTime({ ...job, last }, endedAt);
  if (natural === null) return { ...settled, enabled: false, nextRunAt: null, remove: false };
  if (status === "ok") return { ...settled, enabled: true, nextRunAt: natural, remove: false };
  const nextRunAt = isPassing && retryAt < natural ? retryAt : Math.max(natural, retryAt);
  return { ...settled, enabled: true, nextRunAt, remove: false };
}

/** The job's next time; null also where its expression or zone, once understood, is not any more. */
export function nextTime(job: CronJob, now: number): number | null {
  try {
    return nextRunAfter(job, now);
  } catch {
    return null;
  }
}

function outcomeOf({ status, error }: RunRecord): { status: CronStatus; error: string | null } {
  if (status === "succeeded") return { status: "ok", error: null };
  return {
    status: "error",
    error: error?.message ?? (status === "aborted" ? "the run was aborted" : "the run failed"),
  };
}
