import { isHAError } from "../core/errors.ts";
import type { Clock } from "../ports/clock.ts";
import type { RunQueue } from "../ports/run-queue.ts";
import type { Sweeper } from "./sweep.ts";

/** Between two regular passes. */
const REQUEUE_EVERY_MS = 1_000;
/** Sessions are normally put into the queue by whoever made them ready; this is how long that may take. */
const READY_FOR_MS = 1_000;

export interface RequeueDeps {
  readonly sweeper: Sweeper;
  readonly queue: Pick<RunQueue, "epoch">;
  readonly clock: Clock;
}

/**
 * Keeps the queue whole: called often, it looks cheaply whether the queue has lost its content or was away, and then
 * adds every ready session at once; otherwise it adds, every second, those that have been ready for longer than
 * that, whose wake-up was lost.
 * @returns the pass; it throws HAError STORE_UNAVAILABLE while ledger or queue is away
 */
export function requeuePass({ sweeper, queue, clock }: RequeueDeps): () => Promise<void> {
  const epochs = new Map<string, string>();
  let lastPassAt = Number.NEGATIVE_INFINITY;
  /** Set until a whole pass has succeeded: also at the start, as nobody knows what happened before. */
  let addAll = true;

  const lookAtEpochs = async (): Promise<void> => {
    for (const pool of sweeper.pools()) {
      const epoch = await queue.epoch(pool);
      if (epoch === null) continue;
      const known = epochs.get(pool);
      if (known !== undefined && known !== epoch) addAll = true;
      epochs.set(pool, epoch);
    }
  };

  return async () => {
    try {
      await lookAtEpochs();
      if (!addAll && clock.monotonic() - lastPassAt < REQUEUE_EVERY_MS) return;
      const all = addAll;
      addAll = false;
      lastPassAt = clock.monotonic();
      await sweeper.requeue(all ? 0 : READY_FOR_MS);
    } catch (error) {
      if (isHAError(error)) addAll = true;
      throw error;
    }
  };
}
