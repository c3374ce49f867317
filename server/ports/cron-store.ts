import type { CronDefinition, CronJob } from "../core/cron.ts";
import type { RunId, TenantId } from "../core/ids.ts";
import type { RunRecord } from "../core/run.ts";
import type { AcceptedAnswer, RefusedAnswer } from "./accepted-run.ts";
import type { AcceptRequest } from "./run-ledger.ts";
import type { ControlTerm } from "./scaling-store.ts";

/** Jobs of one tenant above which `add` refuses. */
export const CRON_JOBS_MAX = 500;

/** What a user wants of a job. */
export interface CronJobWish {
  readonly definition: CronDefinition;
  readonly enabled: boolean;
  readonly nextRunAt: number | null;
}

/** What there is to do, at one moment of the store's clock. */
export interface CronWork {
  readonly term: ControlTerm;
  readonly at: number;
  /** Due and not running, the longest overdue first. */
  readonly due: readonly CronJob[];
  /** Whose run has ended. */
  readonly ended: readonly { readonly job: CronJob; readonly run: RunRecord }[];
  /** When the next job that is not due yet will be; null where there is none. */
  readonly nextDueAt: number | null;
}

/** One occurrence to fire. */
export interface Occurrence {
  /** As the caller has seen it: an occurrence of a job that has changed since is not fired. */
  readonly job: CronJob;
  /** The time at which it was due (the job's nextRunAt); null: run by hand, whatever the schedule says. */
  readonly scheduledAt: number | null;
  /** The job's next time. A run by hand leaves the schedule as it is. */
  readonly nextRunAt: number | null;
  /** Null: no run, the job moves on to its next time. */
  readonly accept: AcceptRequest | null;
  /** The session begins anew with this run. */
  readonly reset: boolean;
}

export type FireAnswer =
  | { readonly kind: "fired"; readonly answer: AcceptedAnswer }
  | { readonly kind: "moved" }
  /** The run was not accepted; the job is as it was. */
  | RefusedAnswer
  /** The job is not as it was seen, or the term is over; nothing was done. */
  | { readonly kind: "stale" };

/** What a run came to, and how the job goes on. */
export interface CronSettlement {
  readonly job: CronJob;
  readonly runId: RunId;
  readonly last: NonNullable<CronJob["last"]>;
  readonly consecutiveErrors: number;
  readonly enabled: boolean;
  readonly nextRunAt: number | null;
  /** The job has done what it was for. */
  readonly remove: boolean;
}

export interface CronRun {
  readonly run: RunRecord;
  readonly jobId: string;
  readonly firedAt: number;
  /** Null: by hand. */
  readonly scheduledAt: number | null;
}

/**
 * Cron jobs and their occurrences.
 *
 * Clock: the store's, everywhere. An occurrence is decided, accepted and moved on from in one statement, so that it is
 * fired once and never lost, whoever believes to lead; the term keeps those who do not lead from trying.
 * @throws HAError STORE_UNAVAILABLE from every method
 */
export interface CronStore {
  /** The store's clock: what schedules are counted from. */
  now(): Promise<number>;
  /** All jobs of a tenant, oldest first. */
  list(tenant: TenantId): Promise<CronJob[]>;
  get(tenant: TenantId, jobId: string): Promise<CronJob | null>;
  /** `exists`: the id is taken; `full`: the tenant has CRON_JOBS_MAX jobs. */
  add(tenant: TenantId, jobId: string, wish: CronJobWish): Promise<CronJob | "exists" | "full">;
  /** Changes the job if it still is of that revision; else, or where it is gone, answers null. */
  replace(tenant: TenantId, jobId: string, revision: number, wish: CronJobWish): Promise<CronJob | null>;
  /** A run under way goes on to its end. */
  remove(tenant: TenantId, jobId: string): Promise<{ readonly removed: boolean }>;
  /** Runs of one job, or of all, the newest first; also of jobs that were removed. */
  runs(tenant: TenantId, jobId: string | null, limit: number): Promise<CronRun[]>;

  /** Leads if nobody else does, and finds up to `limit` jobs of each kind; null while another one leads. */
  work(holder: string, ttlMs: number, limit: number): Promise<CronWork | null>;
  /** Lets another one lead at once. */
  resign(holder: string): Promise<void>;
  /** Of all tenants, under the term; without one (null) only runs by hand. Repeatable. */
  fire(term: ControlTerm | null, occurrences: readonly Occurrence[]): Promise<FireAnswer[]>;
  /** Answers for each whether the job was still as seen, and has been settled. */
  settle(term: ControlTerm, settlements: readonly CronSettlement[]): Promise<boolean[]>;
}
