import type { ScalingPolicy } from "../core/scaling.ts";
import { planScale } from "../control/scaling/plan-scale.ts";
import type { PoolObservation } from "../control/scaling/pool-observation.ts";

/** Sessions that want to run at a second. */
export type LoadCurve = (second: number) => number;

export interface SimulatedPool {
  /** Wanted size in each second. */
  readonly sizes: readonly number[];
  readonly changes: readonly {
    readonly at: number;
    readonly from: number;
    readonly to: number;
    readonly reason: string;
  }[];
  /** Sessions that waited in each second. */
  readonly waiting: readonly number[];
}

const STARTING_SECONDS = 3;
export const SIMULATED_SLOTS = 10;
/** What a running session costs: ten of them leave half a core. */
const CORES_A_SESSION = 0.05;

/**
 * Closes the loop around `planScale` on a worker pool: a wanted worker takes up load three seconds later, what finds
 * no slot waits. Nothing here depends on chance or on real time.
 */
export function simulatePool(
  policy: ScalingPolicy,
  curve: LoadCurve,
  { seconds, size: first }: { readonly seconds: number; readonly size: number },
): SimulatedPool {
  const observations: PoolObservation[] = [];
  const sizes: number[] = [];
  const changes: { at: number; from: number; to: number; reason: string }[] = [];
  const waitingNow: number[] = [];
  let startedAt: number[] = Array.from({ length: first }, () => -STARTING_SECONDS);
  let lateFor = 0;
  for (let second = 0; second < seconds; second++) {
    const size = startedAt.length;
    const ready = startedAt.filter((at) => second - at >= STARTING_SECONDS).length;
    const wanted = Math.max(0, Math.round(curve(second)));
    const running = Math.min(wanted, ready * SIMULATED_SLOTS);
    const waiting = wanted - running;
    lateFor = waiting > 0 ? lateFor + 1 : 0;
    const each = ready === 0 ? 0 : running / ready;
    observations.push({
      at: second * 1_000,
      size,
      queue: { running, waiting, delayMs: lateFor * 1_000 },
      loads: Array.from({ length: ready }, (_, n) => ({
        instance: `worker-${n + 1}`,
        pool: "worker",
        cpu: each * CORES_A_SESSION,
        loop: each * CORES_A_SESSION,
        rssBytes: 200 * 1024 * 1024,
        busy: each,
        slots: SIMULATED_SLOTS,
        connections: 0,
      })),
    });
    const changedAt = changes.at(-1)?.at ?? null;
    const plan = planScale("worker", policy, {
      observations,
      changedAt: changedAt === null ? null : changedAt * 1_000,
    });
    if (plan.size !== size) changes.push({ at: second, from: size, to: plan.size, reason: plan.reason });
    startedAt = Array.from({ length: plan.size }, (_, n) => startedAt[n] ?? second);
    sizes.push(plan.size);
    waitingNow.push(waiting);
  }
  return { sizes, changes, waiting: waitingNow };
}
