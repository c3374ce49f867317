import { asHAError } from "../core/errors.ts";
import type { WorkerId } from "../core/ids.ts";
import type { Clock } from "../ports/clock.ts";
import type { EventBus, Unsubscribe } from "../ports/event-bus.ts";
import type { Logger } from "../ports/logger.ts";
import { backoffMs, type Random } from "../ports/random.ts";
import type { ActiveRuns } from "./active-runs.ts";

export interface SignalDeps {
  readonly bus: EventBus;
  readonly worker: WorkerId;
  readonly runs: ActiveRuns;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/**
 * Listens for what gateways tell this worker, so that an abort takes effect at once. Only a shortcut: the mark in
 * the ledger came first, and is seen at the next checkpoint or heartbeat where the signal is lost. So a bus that is
 * away delays nothing here; the subscription is tried in the background until it stands.
 */
export async function listenForSignals(deps: SignalDeps, until: AbortSignal): Promise<void> {
  const { bus, worker, runs, clock, random, logger } = deps;
  let unsubscribe: Unsubscribe | null = null;
  for (let tries = 0; unsubscribe === null && !until.aborted; tries++) {
    try {
      unsubscribe = await bus.subscribeSignals(worker, (signal) => {
        runs.abort(signal.tenant, signal.runId);
      });
    } catch (error) {
      if (tries === 0) logger.warn("worker.signals_unavailable", { code: asHAError(error).code });
      await clock.sleep(backoffMs(random, tries, 200, 5_000), until);
    }
  }
  if (!until.aborted) {
    await new Promise<void>((resolve) => until.addEventListener("abort", () => resolve(), { once: true }));
  }
  await unsubscribe?.().catch((error: unknown) => {
    logger.debug("worker.unsubscribe_failed", { code: asHAError(error).code });
  });
}
