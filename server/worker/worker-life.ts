import { asHAError, HAError } from "../core/errors.ts";
import type { WorkerId } from "../core/ids.ts";
import type { AgentCatalog } from "../core/catalog.ts";
import type { AgentRuntime, AgentTool } from "../ports/agent-runtime.ts";
import type { MetricsRegistry } from "../metrics/registry.ts";
import type { Clock } from "../ports/clock.ts";
import type { EventBus } from "../ports/event-bus.ts";
import type { Logger } from "../ports/logger.ts";
import type { Random } from "../ports/random.ts";
import type { Grant, RunLedger } from "../ports/run-ledger.ts";
import type { RunQueue } from "../ports/run-queue.ts";
import type { SecretVault } from "../ports/secret-vault.ts";
import type { SessionStore } from "../ports/session-store.ts";
import type { Tracing } from "../ports/tracing.ts";
import { activeRuns } from "./active-runs.ts";
import { consumer } from "./consume.ts";
import { executeSession } from "./execute-session.ts";
import { ledgerCalls } from "./ledger-calls.ts";
import type { BodyStore } from "../bodies/body-store.ts";
import type { ContextCache } from "./context-cache.ts";
import type { MediaLoader } from "./media-loader.ts";
import type { KeepLease } from "./keep-lease.ts";
import type { WorkerCounters } from "./metrics.ts";
import type { RunPublisher } from "./run-publisher.ts";
import { listenForSignals } from "./signals.ts";
import type { TokenCharges } from "./token-charges.ts";
import type { Slots } from "./slots.ts";

/** How often deadlines are looked at, for all runs at once. */
const DEADLINE_TICK_MS = 250;
/** What the end of a life may cost after its runs have ended: the stores may be away, and the sweep does the rest. */
const FAREWELL_MS = 3_000;

/** Longest wait that a timer can measure, 24 days. */
const MAX_WAIT_MS = 2 ** 31 - 1;

/** What all lives of a worker process share. */
export interface WorkerParts {
  readonly instance: string;
  readonly pools: readonly string[];
  readonly slots: Slots;
  readonly ledger: RunLedger;
  readonly sessions: SessionStore;
  readonly queue: RunQueue;
  readonly bus: EventBus;
  readonly vault: SecretVault;
  readonly runtime: AgentRuntime;
  readonly tools: (grant: Grant) => readonly AgentTool[];
  readonly ended: (grant: Grant) => void;
  readonly catalog: AgentCatalog;
  readonly keepLease: KeepLease;
  readonly bodies: BodyStore;
  readonly media: MediaLoader;
  readonly cache: ContextCache;
  readonly publisher: RunPublisher;
  readonly charges: TokenCharges;
  readonly tracing: Tracing;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly counters: WorkerCounters;
  readonly registry: Pick<MetricsRegistry, "count" | "observe">;
}

/** One worker id, from its registration to its end. */
export interface WorkerLife {
  readonly worker: WorkerId;
  /** Resolves when the id takes no more work: it is lost, uncertain, or was told to end. */
  readonly over: Promise<"lost" | "uncertain" | "ended">;
  /**
   * Takes no more work, lets runs end for `graceMs`, hands the others over, and leaves. Never rejects. Calling it
   * again can only shorten the grace.
   */
  end(graceMs: number): Promise<void>;
}

/**
 * Registers the id and starts to work under it.
 * @throws HAError STORE_UNAVAILABLE when the worker could not be registered
 */
export async function beginLife(parts: WorkerParts, worker: WorkerId): Promise<WorkerLife> {
  const { ledger, queue, clock, counters } = parts;
  const logger = parts.logger.child({ worker });
  const runs = activeRuns();
  const keeper = await parts.keepLease({
    worker,
    logger,
    register: (lock) =>
      ledger.registerWorker(
        { worker, instance: parts.instance, pools: parts.pools, slots: parts.slots.total },
        lock,
      ),
    onAborts: (marked) => {
      for (const { tenant, runId } of marked) runs.abort(tenant, runId);
    },
  });
  logger.info("worker.registered", { pools: parts.pools, slots: parts.slots.total });

  const stopTaking = new AbortController();
  const over = new AbortController();
  const calls = ledgerCalls({ ...parts, worker, keeper, slots: parts.slots.total, logger });
  const executeDeps = {
    ...parts,
    calls,
    runs,
    logger,
    takeNext: () => !stopTaking.signal.aborted,
  };
  const work = consumer({
    ...parts,
    worker,
    calls,
    logger,
    widths: parts.catalog.laneWidths,
    execute: (grant) => executeSession(executeDeps, grant),
    over: over.signal,
  });
  const listening = listenForSignals({ ...parts, worker, runs, logger }, over.signal);
  const watching = watchDeadlines();
  const working = work.run(stopTaking.signal);

  async function watchDeadlines(): Promise<void> {
    while (!over.signal.aborted) {
      await clock.sleep(DEADLINE_TICK_MS, over.signal);
      runs.expire(clock.monotonic());
    }
  }

  /** Nothing more is written or said under this id. */
  const onLost = (): void => {
    counters.leasesLost++;
    logger.error("worker.lease_lost", { runs: runs.size(), reason: asHAError(keeper.lost.reason).message });
    runs.abortAll(asHAError(keeper.lost.reason));
    stopTaking.abort();
    over.abort();
    void keeper.stop();
  };
  if (keeper.lost.aborted) onLost();
  else keeper.lost.addEventListener("abort", onLost, { once: true });

  const cutShort = new AbortController();
  let ending: Promise<void> | null = null;

  const end = async (graceMs: number): Promise<void> => {
    stopTaking.abort();
    await working;
    await within(work.idle(), graceMs, [cutShort.signal, keeper.lost]);
    runs.abortAll(new HAError("DRAINING", `worker ${worker} is draining`));
    await within(work.idle(), FAREWELL_MS, [keeper.lost]);
    if (!keeper.lost.aborted) await within(handOver(), FAREWELL_MS, [keeper.lost]);
    over.abort();
    await Promise.all([listening, watching]);
    keeper.lost.removeEventListener("abort", onLost);
    await keeper.stop();
    logger.info("worker.left");
  };

  /** Others go on at once with whatever is left; what fails here the sweep finds when the lock falls. */
  const handOver = async (): Promise<void> => {
    const readied = await calls.whileTrusted(() => ledger.retireWorker(worker));
    if (readied.length > 0) await bestEffort(() => queue.enqueue(readied));
    await bestEffort(() => queue.reclaim(worker, parts.pools));
  };

  const bestEffort = async (call: () => Promise<unknown>): Promise<void> => {
    try {
      await call();
    } catch (error) {
      logger.warn("worker.handover_incomplete", { code: asHAError(error).code });
    }
  };

  /** Waits for the work, but no longer than that and not beyond the signals. Never rejects. */
  const within = async (
    awaited: Promise<void>,
    ms: number,
    signals: readonly AbortSignal[],
  ): Promise<void> => {
    const settled = new AbortController();
    const patience = clock.sleep(Math.min(ms, MAX_WAIT_MS), AbortSignal.any([settled.signal, ...signals]));
    await Promise.race([bestEffort(() => awaited), patience]);
    settled.abort();
  };

  return {
    worker,
    over: working.then((why) => (keeper.lost.aborted ? "lost" : why === "uncertain" ? "uncertain" : "ended")),
    end(graceMs) {
      if (ending === null) ending = end(graceMs);
      else void clock.sleep(graceMs, over.signal).then(() => cutShort.abort());
      return ending;
    },
  };
}
