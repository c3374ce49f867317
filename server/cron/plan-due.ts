import type { CronJob } from "../core/cron.ts";
import type { TenantId } from "../core/ids.ts";

/** A job that is later than this was missed: for a while nobody led. */
const MISSED_MS = 10_000;
/** Missed jobs of a tenant that run at once; the rest follows one by one. */
const MISSED_AT_ONCE = 5;
const MISSED_STAGGER_MS = 5_000;

export interface DuePlan {
  readonly fire: readonly CronJob[];
  /** Missed jobs that are to run a little later. */
  readonly defer: readonly { readonly job: CronJob; readonly until: number }[];
}

/**
 * What to do with the jobs that are due, the longest overdue first. As in the genuine gateway a job that was missed runs
 * once, however many of its times have passed, and of many that were missed a few run at once and the rest at steps of five
 * seconds; here for each tenant, since they do not wait for one another.
 */
export function planDue(due: readonly CronJob[], now: number): DuePlan {
  const fire: CronJob[] = [];
  const defer: { job: CronJob; until: number }[] = [];
  const missed = new Map<TenantId, number>();
  for (const job of due) {
    if (now - (job.nextRunAt ?? now) <= MISSED_MS) {
      fire.push(job);
      continue;
    }
    const before = missed.get(job.tenant) ?? 0;
    missed.set(job.tenant, before + 1);
    if (before < MISSED_AT_ONCE) fire.push(job);
    else defer.push({ job, until: now + (before - MISSED_AT_ONCE + 1) * MISSED_STAGGER_MS });
  }
  return { fire, defer };
}
