import { HAError } from "../core/errors.ts";
import type { PoolSize, ScaledPool, ScalingPolicy } from "../core/scaling.ts";
import { SCALED_POOLS } from "../core/scaling.ts";
import type { ScaleRequest, SizeWish } from "./contract.ts";
import type { DesiredTopology } from "./deployment.ts";

/** Which field of a topology is a pool's size. */
const FIELD = { gateway: "gateways", worker: "workers" } as const satisfies Record<
  ScaledPool,
  keyof DesiredTopology
>;

export const sizeOf = (desired: DesiredTopology, pool: ScaledPool): number => desired[FIELD[pool]];

const withSize = (desired: DesiredTopology, pool: ScaledPool, size: number): DesiredTopology => ({
  ...desired,
  [FIELD[pool]]: size,
});

/**
 * A topology with other sizes and policies; what the request leaves out stays.
 * @throws HAError REQUEST_INVALID for limits that exclude each other or a size that is asked for
 */
export function scaledTopology(before: DesiredTopology, request: ScaleRequest): DesiredTopology {
  let desired = before;
  for (const pool of SCALED_POOLS) {
    const asked = request[pool];
    if (asked === undefined) continue;
    const policy = { ...desired.scaling[pool], ...asked.policy };
    checkLimits(pool, policy);
    if (asked.size !== undefined && policy.auto) checkSize(pool, asked.size, policy);
    desired = { ...desired, scaling: { ...desired.scaling, [pool]: policy } };
    if (asked.size !== undefined) desired = withSize(desired, pool, asked.size);
  }
  return desired;
}

/** @throws HAError REQUEST_INVALID */
export function checkLimits(pool: ScaledPool, { min, max }: ScalingPolicy): void {
  if (min <= max) return;
  throw new HAError("REQUEST_INVALID", `${pool}: the minimum of ${min} is above the maximum of ${max}`, {
    pool,
    hint: `say both: --min ${pool}=N --max ${pool}=N`,
  });
}

function checkSize(pool: ScaledPool, size: number, { min, max }: ScalingPolicy): void {
  if (size >= min && size <= max) return;
  const flag = size < min ? "--min" : "--max";
  throw new HAError(
    "REQUEST_INVALID",
    `${pool}=${size} is outside of ${min} to ${max}, and sizing is automatic`,
    {
      pool,
      hint: `say ${flag} ${pool}=${size} too, or --auto off`,
    },
  );
}

/** What the database has to know of a change: a size that is automatic and was not asked for is not touched. */
export function sizeWishes(
  before: DesiredTopology | null,
  desired: DesiredTopology,
  { reason, sizes }: { readonly reason: string; readonly sizes: readonly ScaledPool[] },
): SizeWish[] {
  return SCALED_POOLS.map((pool) => {
    const size = sizeOf(desired, pool);
    const policy = desired.scaling[pool];
    const asked = !policy.auto || sizes.includes(pool) || (before !== null && sizeOf(before, pool) !== size);
    return { pool, desired: asked ? size : null, otherwise: size, policy, reason };
  });
}

/** The topology with the sizes that were decided in the database; the same one where nothing was, or nothing counts. */
export function decidedTopology(
  desired: DesiredTopology,
  sizes: readonly Pick<PoolSize, "pool" | "desired">[],
): DesiredTopology {
  let decided = desired;
  for (const { pool, desired: size } of sizes) {
    if (desired.scaling[pool].auto && size !== sizeOf(decided, pool)) decided = withSize(decided, pool, size);
  }
  return decided;
}
