import type { InstanceLoad, LaneDemand, PoolSize, ScaledPool, ScalingDecision } from "../../core/scaling.ts";
import type { Clock } from "../../ports/clock.ts";
import type { ScalingStore } from "../../ports/scaling-store.ts";
import { memoryLease } from "./lease.ts";

/** ScalingStore in memory, for tests and one process. `lanes` is the demand that `observe` tells. */
export function memoryScalingStore({
  clock,
  lanes = () => [],
}: {
  readonly clock: Pick<Clock, "now">;
  readonly lanes?: () => readonly LaneDemand[];
}): ScalingStore {
  const lease = memoryLease(clock);
  const loads = new Map<string, { readonly load: InstanceLoad; readonly at: number }>();
  const sizes = new Map<ScaledPool, PoolSize>();

  const change = (size: PoolSize, decision: ScalingDecision): void => {
    const decisions = [decision, ...size.decisions];
    sizes.set(size.pool, { ...size, desired: decision.to, decisions });
  };

  return {
    lead: async (holder, ttlMs) => lease.lead(holder, ttlMs),

    resign: async (holder) => lease.resign(holder),

    report: async (load) => void loads.set(load.instance, { load, at: clock.now() }),

    forget: async (instance) => void loads.delete(instance),

    observe: async (maxAgeMs) => {
      const at = clock.now();
      const fresh = [...loads.values()].filter((known) => known.at > at - maxAgeMs);
      return { at, loads: fresh.map(({ load }) => load), lanes: lanes() };
    },

    sizes: async (decisions) =>
      [...sizes.values()].map((size) => ({ ...size, decisions: size.decisions.slice(0, decisions) })),

    decide: async (term, { pool, from, to, reason }) => {
      const size = sizes.get(pool);
      if (!lease.holds(term) || size?.desired !== from || !size.policy.auto) return false;
      change(size, { pool, from, to, reason, by: term.holder, at: clock.now() });
      return true;
    },

    setSize: async (pool, { desired, otherwise, policy, reason }) => {
      const known = sizes.get(pool) ?? { pool, desired: desired ?? otherwise, policy, decisions: [] };
      sizes.set(pool, { ...known, policy });
      const to = desired ?? known.desired;
      if (to === known.desired) return;
      change(
        { ...known, policy },
        { pool, from: known.desired, to, reason, by: "operator", at: clock.now() },
      );
    },
  };
}
