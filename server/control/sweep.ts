import { asHAError } from "../core/errors.ts";
import type { WorkerId } from "../core/ids.ts";
import { ATTEMPT_STRIDE, type RunEvent, runSeqOf } from "../core/run-event.ts";
import type { MetricsRegistry } from "../metrics/registry.ts";
import type { Clock } from "../ports/clock.ts";
import type { EventBus } from "../ports/event-bus.ts";
import type { Logger } from "../ports/logger.ts";
import type { ReadyCursor, RunLedger, SweepReport } from "../ports/run-ledger.ts";
import type { RunQueue } from "../ports/run-queue.ts";

/** Ready sessions per page of a requeue pass, and per enqueue. */
const PAGE = 500;
/** A taker that the ledger does not know is given this long: it may be registering. */
const ORPHAN_AFTER_MS = 15_000;

export interface SweeperDeps {
  readonly ledger: Pick<RunLedger, "sweep" | "readySessions" | "workers">;
  readonly queue: Pick<RunQueue, "enqueue" | "reclaim" | "workers">;
  readonly bus: Pick<EventBus, "publish">;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Of the process; absent: nothing is counted. */
  readonly registry?: Pick<MetricsRegistry, "count">;
  /** Pools that are looked at even where no live worker serves them. */
  readonly pools: readonly string[];
}

/**
 * Repairs what crashes leave behind. Every pass may run anywhere, at any rate, many at once, and be killed at any
 * point: what one leaves undone the next one finds again.
 */
export interface Sweeper {
  /**
   * Declares workers dead, wakes their sessions elsewhere, and tells of the runs that were buried.
   * @throws HAError STORE_UNAVAILABLE when the ledger is away; an absent queue or bus only costs time
   */
  sweep(): Promise<SweepReport>;
  /**
   * Puts every session that has been ready for that long into the queue; those that are in it already stay once.
   * @returns how many it looked at
   * @throws HAError STORE_UNAVAILABLE when ledger or queue is away
   */
  requeue(readyForMs: number): Promise<number>;
  /**
   * Frees what the queue believes to be in the hands of workers that the ledger has not known for a while.
   * @throws HAError STORE_UNAVAILABLE when ledger or queue is away
   */
  reclaimOrphans(): Promise<void>;
  /** Pools of which it knows: those given, and those of live workers as of the last `reclaimOrphans`. */
  pools(): readonly string[];
}

export function sweeper(deps: SweeperDeps): Sweeper {
  const { ledger, queue, bus, clock, logger, registry } = deps;
  const knownPools = new Set(deps.pools);
  /** Since when a taker has been unknown to the ledger, in monotonic milliseconds. */
  const unknownSince = new Map<WorkerId, number>();

  /** For what a later pass repairs as well. */
  const bestEffort = async (what: string, call: () => Promise<unknown>): Promise<void> => {
    try {
      await call();
    } catch (error) {
      logger.debug("sweep.left_undone", { what, code: asHAError(error).code });
    }
  };

  return {
    async sweep() {
      const report = await ledger.sweep();
      if (report.deadWorkers.length > 0) registry?.count("workersDead", {}, report.deadWorkers.length);
      if (report.buried.length > 0) registry?.count("runsBuried", {}, report.buried.length);
      // Before the wake-ups: what the dead worker had taken is free then, and is not merely marked.
      for (const { worker, pools } of report.deadWorkers) {
        logger.warn("sweep.worker_dead", { worker, pools });
        await bestEffort("reclaim", () => queue.reclaim(worker, pools));
      }
      if (report.readied.length > 0) await bestEffort("enqueue", () => queue.enqueue(report.readied));
      for (const buried of report.buried) {
        const { tenant, sessionKey, runId, error } = buried.run;
        logger.error("sweep.run_buried", { tenant, session: sessionKey, run: runId, error: error?.kind });
        await bestEffort("publish", () => bus.publish([endOfBuried(buried, clock.now())]));
      }
      return report;
    },

    async requeue(readyForMs) {
      let seen = 0;
      let after: ReadyCursor | undefined;
      do {
        const { sessions, next } = await ledger.readySessions(readyForMs, PAGE, after);
        if (sessions.length > 0) await queue.enqueue(sessions);
        seen += sessions.length;
        after = next ?? undefined;
      } while (after !== undefined);
      return seen;
    },

    async reclaimOrphans() {
      const alive = await ledger.workers();
      for (const { pools } of alive) for (const pool of pools) knownPools.add(pool);
      const known = new Set(alive.map(({ worker }) => worker));
      const now = clock.monotonic();
      const orphans = new Set<WorkerId>();
      for (const pool of knownPools) {
        for (const worker of await queue.workers(pool)) {
          if (known.has(worker)) continue;
          orphans.add(worker);
          const since = unknownSince.get(worker) ?? now;
          unknownSince.set(worker, since);
          if (now - since < ORPHAN_AFTER_MS) continue;
          const sessions = await queue.reclaim(worker, [pool]);
          logger.warn("sweep.orphan_reclaimed", { worker, pool, sessions });
        }
      }
      for (const worker of unknownSince.keys()) if (!orphans.has(worker)) unknownSince.delete(worker);
    },

    pools: () => [...knownPools],
  };
}

/**
 * The terminal event of a run whose worker never came to say it. Its number is the last one of the lost attempt:
 * above everything that attempt has said, whatever that was, and below all that a redrive will say.
 */
function endOfBuried({ run, token }: SweepReport["buried"][number], at: number): RunEvent {
  const { tenant, sessionKey, agentId, runId, attempt } = run;
  const error = run.error ?? { kind: "worker_lost", message: `run ${runId} lost its worker too often` };
  const runSeq = runSeqOf(attempt, ATTEMPT_STRIDE);
  return { tenant, sessionKey, agentId, runId, token, runSeq, at, body: { type: "error", error } };
}
