import { createHash } from "node:crypto";
import type { CronDefinition, CronJob } from "../../core/cron.ts";
import { isEnded } from "../../core/run-state.ts";
import { FAILURES_MAX } from "../../cron/after-run.ts";
import type { CronRun } from "../../ports/cron-store.ts";

type Wire = Readonly<Record<string, unknown>>;

/** Why an answer was not sent anywhere: there is nowhere to send it. */
const NO_CHANNELS = "the pool has no channels; the answer is in the job's session";

/** Changes with the definition; `cron.update` compares it (`expectedConfigRevision`). */
export const configRevision = ({ definition, enabled }: Pick<CronJob, "definition" | "enabled">): string =>
  revisionOf({ definition, enabled });

const revisionOf = (value: unknown): string =>
  `sha256:${createHash("sha256").update(JSON.stringify(value)).digest("base64url")}`;

/** One revision for a list, so that a client that pages sees whether it has changed in between. */
export const snapshotRevision = (jobs: readonly CronJob[]): string =>
  revisionOf(
    jobs.map(({ jobId, revision, nextRunAt, running, last }) => [jobId, revision, nextRunAt, running, last]),
  );

/** A job as `cron.get`, `cron.add`, `cron.update` and `cron.list` answer it. */
export function cronJobView(job: CronJob): Wire {
  const { definition, last } = job;
  const { zone: _, ...own } = definition;
  return {
    id: job.jobId,
    ...own,
    enabled: job.enabled,
    createdAtMs: job.createdAt,
    updatedAtMs: job.updatedAt,
    state: stateOf(job),
    configRevision: configRevision(job),
    ...(job.nextRunAt === null ? {} : { nextRunAtMs: job.nextRunAt }),
    ...(last === null
      ? {}
      : {
          lastRunAtMs: last.at,
          lastRunStatus: last.status,
          ...(last.error === null ? {} : { lastRunError: last.error }),
          lastDeliveryStatus: deliveryStatus(definition, last.status === "ok"),
        }),
  };
}

function stateOf(job: CronJob): Wire {
  const { nextRunAt, running, last, consecutiveErrors, definition } = job;
  const switchedOff = !job.enabled && consecutiveErrors >= FAILURES_MAX;
  return {
    ...(nextRunAt === null ? {} : { nextRunAtMs: nextRunAt }),
    ...(running === null ? {} : { runningAtMs: running.since }),
    ...(last === null
      ? {}
      : {
          lastRunAtMs: last.at,
          lastRunStatus: last.status,
          lastStatus: last.status,
          lastDurationMs: last.durationMs,
          ...(last.error === null ? {} : { lastError: last.error }),
          consecutiveErrors,
          lastDeliveryStatus: deliveryStatus(definition, last.status === "ok"),
          ...(definition.delivery?.mode === "announce" ? { lastDeliveryError: NO_CHANNELS } : {}),
        }),
    ...(switchedOff
      ? {
          autoDisabled: {
            reason: "consecutive-failures",
            atMs: last?.at ?? job.updatedAt,
            consecutiveErrors,
          },
        }
      : {}),
  };
}

const deliveryStatus = ({ delivery }: CronDefinition, answered: boolean): string =>
  delivery?.mode === "announce" && answered ? "not-delivered" : "not-requested";

/** A job in the short form that the Control UI asks for (`compact`). */
export function compactCronJob(job: CronJob): Wire {
  const { definition, last, running } = job;
  return {
    id: job.jobId,
    name: definition.name,
    ...(definition.agentId === undefined ? {} : { agentId: definition.agentId }),
    updatedAtMs: job.updatedAt,
    ...(definition.displayName === undefined ? {} : { displayName: definition.displayName }),
    enabled: job.enabled,
    nextRunAt: job.nextRunAt === null ? null : new Date(job.nextRunAt).toISOString(),
    nextRunAtMs: job.nextRunAt,
    scheduleKind: definition.schedule.kind,
    schedule: definition.schedule,
    lastRunAt: last === null ? null : new Date(last.at).toISOString(),
    lastRunAtMs: last?.at ?? null,
    lastRunStatus: last?.status ?? null,
    lastRunError: last?.error ?? null,
    ...(running === null ? {} : { runningAtMs: running.since }),
  };
}

/** What becomes of an answer, in two words and in one sentence. */
export const deliveryPreview = ({ delivery }: CronDefinition): Wire =>
  delivery?.mode === "announce"
    ? { label: "announce -> last", detail: NO_CHANNELS }
    : { label: "not requested", detail: "not requested" };

/** An entry of `cron.runs`; null for a run that has not ended. */
export function cronRunEntry(
  { run, jobId, firedAt }: CronRun,
  definition: CronDefinition | null,
): Wire | null {
  if (!isEnded(run.status) || run.endedAt === null) return null;
  const ok = run.status === "succeeded";
  const usage = run.result?.usage;
  return {
    ts: run.endedAt,
    jobId,
    action: "finished",
    status: ok ? "ok" : "error",
    completionStatus: ok ? "succeeded" : "failed",
    ...(ok ? {} : { error: run.error?.message ?? `the run was ${run.status}` }),
    ...(run.result === null ? {} : { summary: run.result.text }),
    deliveryStatus: definition === null ? "unknown" : deliveryStatus(definition, ok),
    runId: run.runId,
    sessionId: run.sessionId,
    sessionKey: run.sessionKey,
    runAtMs: firedAt,
    durationMs: Math.max(0, run.endedAt - firedAt),
    ...(run.result?.model === undefined ? {} : run.result.model),
    ...(usage === undefined
      ? {}
      : {
          usage: {
            input_tokens: usage.input,
            output_tokens: usage.output,
            total_tokens: usage.totalTokens ?? usage.input + usage.output,
          },
        }),
    ...(definition === null ? {} : { jobName: definition.name }),
  };
}
