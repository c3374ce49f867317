import { setImmediate as turn } from "node:timers/promises";
import { sweeper } from "../control/sweep.ts";
import type { AgentCatalog } from "../core/catalog.ts";
import { asHAError } from "../core/errors.ts";
import { type WorkerId, workerId } from "../core/ids.ts";
import type { AgentRuntime, AgentTool } from "../ports/agent-runtime.ts";
import type { Clock } from "../ports/clock.ts";
import type { EventBus } from "../ports/event-bus.ts";
import type { Logger } from "../ports/logger.ts";
import type { ObjectStore } from "../ports/object-store.ts";
import type { RateLimiter } from "../ports/rate-limiter.ts";
import { backoffMs, type Random } from "../ports/random.ts";
import type { Grant, RunLedger } from "../ports/run-ledger.ts";
import type { RunQueue } from "../ports/run-queue.ts";
import type { SecretVault } from "../ports/secret-vault.ts";
import type { SessionStore } from "../ports/session-store.ts";
import { noTracing, type Tracing } from "../ports/tracing.ts";
import { backUpSweep } from "./back-up-sweep.ts";
import { bodyStore } from "../bodies/body-store.ts";
import { contextCache } from "./context-cache.ts";
import type { KeepLease } from "./keep-lease.ts";
import { mediaLoader } from "./media-loader.ts";
import { metricsRegistry, type MetricsRegistry } from "../metrics/registry.ts";
import { newWorkerCounters, tellCounters, type WorkerCounters } from "./metrics.ts";
import { runPublisher } from "./run-publisher.ts";
import { tokenCharges } from "./token-charges.ts";
import { slots } from "./slots.ts";
import { beginLife, type WorkerLife, type WorkerParts } from "./worker-life.ts";

/** Memory for attachments that were given to models last. */
const MEDIA_BYTES = 32 * 1024 * 1024;
const CACHE_BYTES = 64 * 1024 * 1024;
const DRAIN_GRACE_MS = 30_000;
/** How long the last events may take to leave. */
const FLUSH_MS = 2_000;
/** A life that ended sooner than this tells that something is wrong: the next one waits. */
const SHORT_LIFE_MS = 10_000;

export interface WorkerDeps {
  readonly ledger: RunLedger;
  readonly sessions: SessionStore;
  readonly queue: RunQueue;
  readonly bus: EventBus;
  readonly objects: ObjectStore;
  readonly vault: SecretVault;
  /** Who counts the tokens that runs use. */
  readonly rateLimiter: Pick<RateLimiter, "charge">;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly catalog: AgentCatalog;
  readonly runtime: AgentRuntime;
  /** How the worker proves that it lives: `threadKeeper` on Postgres, `inProcessKeeper` on memory stores. */
  readonly keepLease: KeepLease;
  /** Name of the process over its lives, `worker-1`. */
  readonly instance: string;
  /** Pools of tenants that it serves. */
  readonly pools: readonly string[];
  /** Sessions executed at once. */
  readonly slots: number;
  /** How long runs may go on after `drain`; default 30 s. */
  readonly drainGraceMs?: number;
  /** Tools of a run; default none. */
  readonly tools?: (grant: Grant) => readonly AgentTool[];
  /** Told of each run that has ended, once that is durable. Must not throw; is not waited for. */
  readonly ended?: (grant: Grant) => void;
  /** Memory for the contexts of hot sessions; default 64 MB. */
  readonly cacheBytes?: number;
  /** Default: nothing is traced. */
  readonly tracing?: Tracing;
  /** That of the process; default one of the worker's own. */
  readonly registry?: MetricsRegistry;
  /** Repairs what crashes leave behind also where no control process runs; default true. */
  readonly backUpSweep?: boolean;
}

export interface WorkerHandle {
  /** The id under which it works now; a new one after its lease was lost. Null while it cannot register. */
  readonly workerId: WorkerId | null;
  /** Resolves when the worker has registered for the first time, or was stopped before. */
  registered(): Promise<void>;
  /** Takes no more work, lets runs end within the grace, hands the others over. Calling it twice is the same. */
  drain(): Promise<void>;
  /** As `drain`, without grace. */
  close(): Promise<void>;
  metrics(): WorkerCounters;
  /** Sessions under way, and how many fit. */
  load(): { readonly busy: number; readonly slots: number };
}

/**
 * Starts a worker. It does not wait for the stores: while they are away it tries to register, and says so once.
 * Whenever its lease is lost it goes on under a new id by itself.
 */
export async function startWorker(deps: WorkerDeps): Promise<WorkerHandle> {
  const { clock, random, logger } = deps;
  const counters = newWorkerCounters();
  const registry = deps.registry ?? metricsRegistry(deps.instance);
  const parts: WorkerParts = {
    ...deps,
    slots: slots(deps.slots),
    tools: deps.tools ?? (() => []),
    ended: deps.ended ?? (() => undefined),
    bodies: bodyStore(deps),
    media: mediaLoader(deps.objects, MEDIA_BYTES),
    cache: contextCache(deps.cacheBytes ?? CACHE_BYTES),
    publisher: runPublisher({ ...deps, counters }),
    charges: tokenCharges(deps),
    registry,
    tracing: deps.tracing ?? noTracing,
    counters,
  };
  tellCounters(registry, counters, parts.slots);
  const stop = new AbortController();
  const lives = new Set<WorkerLife>();
  let current: WorkerLife | null = null;
  let onRegistered = (): void => {};
  const registered = new Promise<void>((resolve) => (onRegistered = resolve));

  /** `<instance>.<8 hex>`, new for each life. */
  const newId = (): WorkerId => workerId(`${deps.instance}.${Buffer.from(random.bytes(4)).toString("hex")}`);

  const live = async (): Promise<void> => {
    for (let failures = 0; !stop.signal.aborted;) {
      const bornAt = clock.monotonic();
      try {
        const life = await beginLife(parts, newId());
        current = life;
        lives.add(life);
        onRegistered();
        if (stop.signal.aborted) void life.end(0); // it was told to stop while it registered
        const why = await life.over;
        current = null;
        // Lost: nothing to wait for. Uncertain: its runs go on to their ends, while the next life takes new work.
        if (why === "uncertain") void life.end(Number.POSITIVE_INFINITY).then(() => lives.delete(life));
        else if (why === "lost") lives.delete(life);
        failures = clock.monotonic() - bornAt < SHORT_LIFE_MS ? failures + 1 : 0;
      } catch (error) {
        if (failures++ === 0) logger.warn("worker.cannot_register", { message: asHAError(error).message });
      }
      if (failures > 0) await clock.sleep(100 + backoffMs(random, failures, 100, 3_000), stop.signal);
    }
    onRegistered();
  };

  const living = live();
  const sweeping =
    deps.backUpSweep === false
      ? Promise.resolve()
      : backUpSweep({ ...deps, sweeper: sweeper(deps) }, stop.signal);

  const end = async (graceMs: number): Promise<void> => {
    stop.abort();
    await Promise.all([...lives].map((life) => life.end(graceMs)));
    await Promise.all([living, sweeping]);
    await Promise.all([...lives].map((life) => life.end(0))); // one that was beginning when the stop came
    await Promise.all([parts.publisher.flush(FLUSH_MS), parts.charges.flush()]);
    await turn();
  };

  return {
    get workerId() {
      return current?.worker ?? null;
    },
    registered: () => registered,
    drain: () => end(deps.drainGraceMs ?? DRAIN_GRACE_MS),
    close: () => end(0),
    metrics: () => counters,
    load: () => ({ busy: parts.slots.total - parts.slots.free(), slots: parts.slots.total }),
  };
}
