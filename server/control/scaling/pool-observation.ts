import { isLane, type LaneWidths } from "../../core/lane.ts";
import type { InstanceLoad, LaneDemand, ScaledPool } from "../../core/scaling.ts";
import type { LoadReport } from "../../ports/scaling-store.ts";

/** Sessions that wait for a worker or have one. */
export interface QueueDemand {
  readonly running: number;
  /** Ready sessions that would run if there were room: those beyond their tenant's lane wait for their own. */
  readonly waiting: number;
  /** Age of the oldest of the lanes that have such sessions. */
  readonly delayMs: number;
}

/** A pool at one moment: all that its size is decided by. Plain data, so that curves can be recorded and replayed. */
export interface PoolObservation {
  /** Milliseconds of the store's clock. */
  readonly at: number;
  /** The size wanted now; instances may still be starting or draining. */
  readonly size: number;
  readonly loads: readonly InstanceLoad[];
  readonly queue: QueueDemand;
}

export const observationOf = (
  pool: ScaledPool,
  size: number,
  { at, loads, lanes }: LoadReport,
  widths: LaneWidths,
): PoolObservation => ({
  at,
  size,
  loads: loads.filter((load) => load.pool === pool),
  queue: queueDemand(lanes, widths),
});

/** A tenant that fills its own lane is no reason for more workers: it would not get them. */
export function queueDemand(lanes: readonly LaneDemand[], widths: LaneWidths): QueueDemand {
  let running = 0;
  let waiting = 0;
  let delayMs = 0;
  for (const demand of lanes) {
    running += demand.running;
    const room = isLane(demand.lane) ? widths[demand.lane] - demand.running : demand.ready;
    const admissible = Math.min(demand.ready, Math.max(0, room));
    waiting += admissible;
    if (admissible > 0) delayMs = Math.max(delayMs, demand.oldestReadyMs ?? 0);
  }
  return { running, waiting, delayMs };
}
