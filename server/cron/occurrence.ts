import { createHash } from "node:crypto";
import type { AgentCatalog } from "../core/catalog.ts";
import { type CronJob, cronRunId, cronSessionKey } from "../core/cron.ts";
import type { AgentId, RunId, SessionKey } from "../core/ids.ts";
import { sessionKey } from "../core/ids.ts";
import { laneOfSession } from "../core/lane.ts";
import type { RunOptions } from "../core/run.ts";
import { canonicalSessionKey } from "../core/session-key.ts";
import type { Occurrence } from "../ports/cron-store.ts";
import type { Random } from "../ports/random.ts";
import { nextTime } from "./after-run.ts";

type Names = Pick<AgentCatalog, "defaultAgentId" | "mainKey">;

export interface OccurrenceDeps {
  readonly catalog: Names;
  readonly random: Pick<Random, "uuid">;
}

/** The agent that a job's runs are of. */
export const agentOfJob = (
  { defaultAgentId }: Pick<Names, "defaultAgentId">,
  { definition }: CronJob,
): AgentId => definition.agentId ?? defaultAgentId;

/** The session that a job's runs are in. */
export function sessionOfJob(catalog: Names, job: CronJob): SessionKey {
  const agent = agentOfJob(catalog, job);
  const { sessionTarget } = job.definition;
  if (sessionTarget === "isolated") return cronSessionKey(agent, job.jobId);
  if (sessionTarget === "main") return sessionKey(`agent:${agent}:${catalog.mainKey}`);
  return canonicalSessionKey(sessionTarget.slice("session:".length), agent, catalog.mainKey);
}

/** The occurrence of a job at the time for which it is due. */
export function dueOccurrence(deps: OccurrenceDeps, job: CronJob, now: number): Occurrence {
  const scheduledAt = job.nextRunAt ?? now;
  return {
    ...occurrenceOf(deps, job, cronRunId(job.jobId, scheduledAt), now),
    scheduledAt,
    nextRunAt: nextTime(job, now),
  };
}

/** A run by hand. */
export function manualOccurrence(deps: OccurrenceDeps, job: CronJob, now: number): Occurrence {
  const runId = `manual:${job.jobId}:${now}:${deps.random.uuid().slice(0, 8)}` as RunId;
  return { ...occurrenceOf(deps, job, runId, now), scheduledAt: null, nextRunAt: null };
}

function occurrenceOf(
  { catalog, random }: OccurrenceDeps,
  job: CronJob,
  runId: RunId,
  now: number,
): Pick<Occurrence, "job" | "accept" | "reset"> {
  const { sessionTarget } = job.definition;
  const key = sessionOfJob(catalog, job);
  return {
    job,
    reset: sessionTarget === "isolated",
    accept: {
      tenant: job.tenant,
      runId,
      sessionKey: key,
      agentId: agentOfJob(catalog, job),
      lane: laneOfSession(key),
      requestHash: createHash("sha256").update(runId).digest("hex"),
      input: {
        body: { inline: { role: "user", content: textOf(job), timestamp: now } },
        options: optionsOf(job),
      },
      newSessionId: random.uuid(),
    },
  };
}

/** As the genuine gateway words it: the job's name before its message, and system events marked as such. */
function textOf({ jobId, definition: { name, payload } }: CronJob): string {
  if (payload.kind === "systemEvent") return `System: ${payload.text}`;
  return `[cron:${jobId} ${name}] ${payload.message}`;
}

function optionsOf({ definition: { payload } }: CronJob): RunOptions {
  if (payload.kind === "systemEvent") return {};
  const { model, thinking, timeoutSeconds } = payload;
  return {
    ...(model === undefined ? {} : { model }),
    ...(thinking === undefined ? {} : { thinking }),
    ...(timeoutSeconds === undefined ? {} : { timeoutMs: timeoutSeconds * 1_000 }),
  };
}
