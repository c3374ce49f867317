import { isHAError } from "../core/errors.ts";
import type { RunId, TenantId } from "../core/ids.ts";
import type { Clock } from "../ports/clock.ts";
import type { EventBus } from "../ports/event-bus.ts";
import type { Logger } from "../ports/logger.ts";
import type { RunLedger } from "../ports/run-ledger.ts";
import type { Hub } from "./hub.ts";

/** Time between two looks, in milliseconds. */
const LOOK_EVERY_MS = 250;
/** Runs asked for in one statement. */
const RUNS_PER_LOOK = 512;

/**
 * Reads the ends of runs from Postgres where the bus does not tell them: a worker that died between its commit and
 * its last event, Redis away, a subscription that was cut. One poller for all runs of the process; it asks for those
 * only that have been silent for a second, and ever more rarely.
 *
 * Resolves when the signal aborts.
 */
export async function watchRuns(
  deps: {
    readonly hub: Hub;
    readonly ledger: RunLedger;
    readonly bus: EventBus;
    readonly clock: Clock;
    readonly logger: Logger;
  },
  signal: AbortSignal,
): Promise<void> {
  const { hub, clock, logger } = deps;
  let failing = false;
  while (!signal.aborted) {
    await clock.sleep(LOOK_EVERY_MS, signal);
    if (signal.aborted) return;
    hub.prune(clock.monotonic());
    try {
      await lookOnce(deps);
      failing = false;
    } catch (error) {
      // Once per episode: the next looks say nothing new.
      if (!failing) logger.warn("gateway.watch.failed", { error: String(error) });
      failing = true;
      if (!isHAError(error, "STORE_UNAVAILABLE")) await clock.sleep(1_000, signal);
    }
  }
}

/** One look at all runs that are due. @throws HAError STORE_UNAVAILABLE */
export async function lookOnce(deps: {
  readonly hub: Hub;
  readonly ledger: RunLedger;
  readonly bus: EventBus;
  readonly clock: Clock;
}): Promise<void> {
  const { hub, ledger, bus, clock } = deps;
  const due = hub.due(clock.monotonic());
  for (let i = 0; i < due.length; i += RUNS_PER_LOOK) {
    const asked = due.slice(i, i + RUNS_PER_LOOK);
    const found = await ledger.getMany(asked);
    const now = clock.monotonic();
    const missing = new Map<TenantId, Set<RunId>>();
    for (const { tenant, runId } of asked) {
      const runs = missing.get(tenant) ?? new Set();
      missing.set(tenant, runs.add(runId));
    }
    for (const record of found) {
      missing.get(record.tenant)?.delete(record.runId);
      hub.get(record.tenant)?.observe(record, now, bus.healthy());
    }
    for (const [tenant, runs] of missing) if (runs.size > 0) hub.get(tenant)?.unknown([...runs], now);
  }
}
