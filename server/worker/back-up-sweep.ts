import type { Sweeper } from "../control/sweep.ts";
import { asHAError } from "../core/errors.ts";
import type { Clock } from "../ports/clock.ts";
import type { Logger } from "../ports/logger.ts";
import type { Random } from "../ports/random.ts";
import type { RunLedger } from "../ports/run-ledger.ts";

/** One worker sweeps this often, jittered; many share the work, so that the pool as a whole does. */
const INTERVAL_MS = { min: 2_000, max: 4_000 };
const WORKERS_PER_SWEEPER = 4;
/** The control processes come first: this is older than what they leave. */
const READY_FOR_MS = 2_500;

export interface BackUpSweepDeps {
  readonly sweeper: Sweeper;
  readonly ledger: Pick<RunLedger, "workers">;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/**
 * The control process's repairs at a slower pace, in every worker: without any control process a crash costs a few
 * seconds more, and nothing is lost. Never rejects.
 */
export async function backUpSweep(deps: BackUpSweepDeps, stop: AbortSignal): Promise<void> {
  const { sweeper, ledger, clock, random, logger } = deps;
  let failing = false;
  let share = 1;
  for (;;) {
    const pause = INTERVAL_MS.min + random.float() * (INTERVAL_MS.max - INTERVAL_MS.min);
    await clock.sleep(pause * share, stop);
    if (stop.aborted) return;
    try {
      await sweeper.sweep();
      await sweeper.requeue(READY_FOR_MS);
      await sweeper.reclaimOrphans();
      share = Math.max(1, (await ledger.workers()).length / WORKERS_PER_SWEEPER);
      failing = false;
    } catch (error) {
      if (!failing) logger.warn("worker.sweep_failed", { code: asHAError(error).code });
      failing = true;
    }
  }
}
