import type pg from "pg";
import type { InstanceLoad, LaneDemand, PoolSize, ScaledPool, ScalingPolicy } from "../../core/scaling.ts";
import { DEFAULT_SCALING, isScaledPool } from "../../core/scaling.ts";
import type { ScalingStore } from "../../ports/scaling-store.ts";
import { rowsOf } from "./query.ts";

const LEAD = "/* scaling.lead */ SELECT token FROM lead_control($1, $2, $3)";
const RESIGN = "/* scaling.resign */ SELECT resign_control($1, $2)";
const REPORT = "/* scaling.report */ SELECT report_load($1, $2, $3)";
const FORGET = "/* scaling.forget */ SELECT forget_load($1)";
const OBSERVE = "/* scaling.observe */ SELECT at, loads, lanes FROM observe_load($1)";
const SIZES = "/* scaling.sizes */ SELECT pool, desired, policy, decisions FROM pool_sizes($1)";
const DECIDE = "/* scaling.decide */ SELECT decide_size($1, $2, $3, $4, $5, $6, $7) AS done";
const SET_SIZE = "/* scaling.set_size */ SELECT set_pool_size($1, $2, $3, $4, $5)";

/** The control lease under which sizes are decided. */
const LEASE = "scaling";

interface SizeRow {
  readonly pool: string;
  readonly desired: number;
  readonly policy: Partial<ScalingPolicy>;
  readonly decisions: PoolSize["decisions"];
}

/** ScalingStore on PostgreSQL. `setSize` needs a pool that is an operator (`role: null` with the owner's URL). */
export function postgresScalingStore({ pool }: { readonly pool: pg.Pool }): ScalingStore {
  const rows = rowsOf(pool);

  return {
    async lead(holder, ttlMs) {
      const [term] = await rows<{ token: number }>("lead", LEAD, [LEASE, holder, ttlMs]);
      return term === undefined ? null : { holder, token: term.token };
    },

    async resign(holder) {
      await rows("resign", RESIGN, [LEASE, holder]);
    },

    async report({ instance, pool: of, ...load }) {
      await rows("report a load", REPORT, [instance, of, load]);
    },

    async forget(instance) {
      await rows("forget a load", FORGET, [instance]);
    },

    async observe(maxAgeMs) {
      const [seen] = await rows<{ at: number; loads: InstanceLoad[]; lanes: LaneDemand[] }>(
        "observe the load",
        OBSERVE,
        [maxAgeMs],
      );
      return seen ?? { at: 0, loads: [], lanes: [] };
    },

    async sizes(decisions) {
      const found = await rows<SizeRow>("read the sizes of pools", SIZES, [decisions]);
      // A field that an older release did not write has its default; a pool that this one does not know is not its.
      return found
        .filter((row): row is SizeRow & { pool: ScaledPool } => isScaledPool(row.pool))
        .map((row) => ({ ...row, policy: { ...DEFAULT_SCALING, ...row.policy } }));
    },

    async decide({ holder, token }, { pool: of, from, to, reason }) {
      const [answer] = await rows<{ done: boolean }>("decide a size", DECIDE, [
        LEASE,
        holder,
        token,
        of,
        from,
        to,
        reason,
      ]);
      return answer?.done === true;
    },

    async setSize(of, { desired, otherwise, policy, reason }) {
      await rows("set a size", SET_SIZE, [of, desired, otherwise, policy, reason]);
    },
  };
}
