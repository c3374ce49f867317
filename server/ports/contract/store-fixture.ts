import type { WorkerId } from "../../core/ids.ts";
import type { TenantDirectory } from "../directory.ts";
import type { CronStore } from "../cron-store.ts";
import type { RunLedger } from "../run-ledger.ts";
import type { SessionStore } from "../session-store.ts";
import type { SubagentStore } from "../subagent-store.ts";

/**
 * The stores of one adapter, opened for one test. They may be shared with other tests: a test names its own tenants,
 * sessions, runs and workers, and expects nothing of what a method reports beyond them.
 */
export interface StoreFixture {
  readonly ledger: RunLedger;
  readonly sessions: SessionStore;
  readonly directory: TenantDirectory;
  readonly cron: CronStore;
  readonly subagents: SubagentStore;
  /** Queued runs of one session above which the ledger refuses, as it was opened. */
  readonly maxQueuedPerSession: number;
  /**
   * Lets `ms` pass for the store: a fake clock moves, a real store makes all that it holds so much older (heartbeats,
   * ready times, times of acceptance, end and change).
   */
  readonly passTime: (ms: number) => Promise<void>;
  /**
   * Takes what proves to the store that the worker's process lives (the session advisory lock), and gives it up as a
   * crash would. Absent where only silence tells that a worker is dead.
   */
  readonly startProcess?: (worker: WorkerId) => Promise<{ readonly crash: () => Promise<void> }>;
  readonly close: () => Promise<void>;
}

export type OpenStores = () => Promise<StoreFixture>;
