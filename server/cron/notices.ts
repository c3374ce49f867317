import type { CronJob } from "../core/cron.ts";
import type { CronNotice } from "../core/run-event.ts";
import type { SessionKey } from "../core/ids.ts";
import type { CronSettlement } from "../ports/cron-store.ts";

/** What clients are told of a job; the fields are those of the genuine gateway's `cron` event. */
export const changedNotice = (action: "added" | "updated" | "removed", job: CronJob): CronNotice => ({
  type: "cron",
  action,
  jobId: job.jobId,
  ...(job.nextRunAt === null ? {} : { nextRunAtMs: job.nextRunAt }),
});

export const startedNotice = (
  jobId: string,
  runId: string,
  sessionKey: SessionKey,
  at: number,
): CronNotice => ({
  type: "cron",
  action: "started",
  jobId,
  runId,
  sessionKey,
  runAtMs: at,
});

export const finishedNotice = (
  { job, runId, last, nextRunAt }: CronSettlement,
  summary: string | null,
): CronNotice => ({
  type: "cron",
  action: "finished",
  jobId: job.jobId,
  runId,
  status: last.status,
  runAtMs: last.at,
  durationMs: last.durationMs,
  ...(last.error === null ? {} : { error: last.error }),
  ...(summary === null ? {} : { summary }),
  ...(nextRunAt === null ? {} : { nextRunAtMs: nextRunAt }),
});
