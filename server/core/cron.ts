import type { AgentId, RunId, SessionKey, TenantId } from "./ids.ts";
import { sessionKey } from "./ids.ts";

/** When a job runs. */
export type CronSchedule =
  /** Once; ISO 8601. */
  | { readonly kind: "at"; readonly at: string }
  /** At anchorMs + n * everyMs (epoch milliseconds), or everyMs after its last run. */
  | { readonly kind: "every"; readonly everyMs: number; readonly anchorMs: number }
  /** By a cron expression of five or six fields. `tz`: IANA name; without it `CronDefinition.zone` counts. */
  | {
      readonly kind: "cron";
      readonly expr: string;
      readonly tz?: string;
      /** Jobs are spread over so many milliseconds after the time that the expression names. */
      readonly staggerMs?: number;
    };

export type CronPayload =
  | { readonly kind: "systemEvent"; readonly text: string }
  | {
      readonly kind: "agentTurn";
      readonly message: string;
      readonly model?: string;
      readonly thinking?: string;
      /** 0: no limit. */
      readonly timeoutSeconds?: number;
    };

/**
 * `main`: a turn of the agent's main session. `isolated`: a session of the job's own that begins anew each time.
 * `session:<key>`: a turn of that session.
 */
export type CronSessionTarget = "main" | "isolated" | `session:${string}`;

/** What a user says of a job, as `cron.add` and `cron.update` take it. */
export interface CronDefinition {
  readonly name: string;
  readonly displayName?: string;
  readonly description?: string;
  readonly agentId?: AgentId;
  readonly schedule: CronSchedule;
  /** Time zone of a cron expression that names none, fixed when the job was made, so that it does not hang on who leads. */
  readonly zone: string;
  readonly sessionTarget: CronSessionTarget;
  readonly wakeMode: "now" | "next-heartbeat";
  readonly payload: CronPayload;
  /** `announce` finds no channel in the pool: the answer stays in the job's session. */
  readonly delivery?: { readonly mode: "none" | "announce"; readonly bestEffort?: boolean };
  /** Remove the job once it has run well; the default of `at` jobs. */
  readonly deleteAfterRun?: boolean;
}

export type CronStatus = "ok" | "error" | "skipped";

/** One job. Times are the store's clock in epoch milliseconds. */
export interface CronJob {
  readonly tenant: TenantId;
  readonly jobId: string;
  readonly definition: CronDefinition;
  readonly enabled: boolean;
  /** Grows with every change by a user. */
  readonly revision: number;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly nextRunAt: number | null;
  /** The run of the last occurrence, until its end has been taken note of. */
  readonly running: { readonly runId: RunId; readonly since: number; readonly manual: boolean } | null;
  readonly last: {
    readonly at: number;
    readonly status: CronStatus;
    readonly error: string | null;
    readonly durationMs: number;
  } | null;
  readonly consecutiveErrors: number;
}

/** Id of the run of one occurrence: the same whoever fires it, and however often. */
export const cronRunId = (jobId: string, scheduledAt: number): RunId =>
  `cron:${jobId}:${scheduledAt}` as RunId;

/** Key of the session that an isolated job has to itself. */
export const cronSessionKey = (agent: AgentId, jobId: string): SessionKey =>
  sessionKey(`agent:${agent}:cron:${jobId.toLowerCase()}`);
