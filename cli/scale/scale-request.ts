import { HAError } from "../../server/core/errors.ts";
import {
  isScaledPool,
  SCALED_POOLS,
  type ScaledPool,
  type ScalingPolicy,
} from "../../server/core/scaling.ts";
import type { ScaleRequest } from "../../server/supervisor/contract.ts";

/** `gateway=2`, `worker=4`. */
export type PoolNumbers = { readonly [Pool in ScaledPool]?: number };

export interface ScaleFlags {
  readonly auto?: boolean;
  readonly min?: PoolNumbers;
  readonly max?: PoolNumbers;
  readonly growAfter?: number;
  readonly cooldown?: number;
  readonly shrinkAfter?: number;
  readonly queueDelay?: number;
  readonly connections?: number;
}

const POOL_MAX = 256;

/** What was typed, as an order; null when nothing was said. @throws HAError REQUEST_INVALID (2) */
export function scaleRequest(words: readonly string[], flags: ScaleFlags): ScaleRequest | null {
  const sizes = poolNumbers(words, 0);
  const common = said({
    auto: flags.auto,
    growAfterMs: flags.growAfter,
    cooldownMs: flags.cooldown,
    shrinkAfterMs: flags.shrinkAfter,
    queueDelayMs: flags.queueDelay,
    connections: flags.connections,
  });
  const request: { [Pool in ScaledPool]?: NonNullable<ScaleRequest[Pool]> } = {};
  for (const pool of SCALED_POOLS) {
    const size = sizes[pool];
    const policy = { ...common, ...said({ min: flags.min?.[pool], max: flags.max?.[pool] }) };
    if (size === undefined && Object.keys(policy).length === 0) continue;
    request[pool] = { ...(size === undefined ? {} : { size }), policy };
  }
  return Object.keys(request).length === 0 ? null : request;
}

/** `worker=4`, or several with commas or as several words. @throws HAError REQUEST_INVALID (2) */
export function poolNumbers(words: readonly string[], least: number): PoolNumbers {
  const numbers: { [Pool in ScaledPool]?: number } = {};
  for (const word of words.flatMap((typed) => typed.split(","))) {
    const [pool = "", number = ""] = word.split("=");
    const value = Number(number);
    if (!isScaledPool(pool) || !/^\d+$/.test(number) || value < least || value > POOL_MAX) {
      throw new HAError("REQUEST_INVALID", `${JSON.stringify(word)} is no size of a pool`, {
        hint: `say ${SCALED_POOLS.map((name) => `${name}=N`).join(" or ")}, N from ${least} to ${POOL_MAX}`,
      });
    }
    numbers[pool] = value;
  }
  return numbers;
}

const said = (policy: { readonly [Field in keyof ScalingPolicy]?: ScalingPolicy[Field] | undefined }) =>
  Object.fromEntries(
    Object.entries(policy).filter(([, value]) => value !== undefined),
  ) as Partial<ScalingPolicy>;
