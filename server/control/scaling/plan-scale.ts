import type { ScaledPool, ScalingPolicy } from "../../core/scaling.ts";
import { neededSize, type NeededSize } from "./needed-size.ts";
import type { PoolObservation } from "./pool-observation.ts";

/** Observations further apart than this leave a hole: what was before it says nothing about a span of time. */
const HOLE_MS = 10_000;
/** A pool loses at most this share at once: what it served has to find its place in the rest. */
const SHRINK_SHARE = 0.5;

/** What is to be done with a pool. `size` equal to the observed one: nothing. */
export interface ScalePlan {
  readonly size: number;
  readonly reason: string;
}

export interface ScaleHistory {
  /** Oldest first; the newest is now. Older ones than `shrinkAfterMs` are of no use. */
  readonly observations: readonly PoolObservation[];
  /** When the size was changed last, by whomever, in milliseconds of the store's clock; null for never. */
  readonly changedAt: number | null;
}

/**
 * Decides a pool's size. A pure function: the same limits, observations and changes give the same answer, whoever
 * leads.
 *
 * A pool grows to what even the mildest moment of the last `growAfterMs` needs, not within `cooldownMs` of a change. It
 * shrinks to what the heaviest moment of the last `shrinkAfterMs` needs, by half at most, and not within that time of a
 * change. So a shrink never follows a growth sooner than `shrinkAfterMs`, and a load that comes back within that time
 * finds its instances. A new leader has seen nothing yet and waits as long as it must.
 */
export function planScale(pool: ScaledPool, policy: ScalingPolicy, history: ScaleHistory): ScalePlan {
  const now = history.observations.at(-1);
  if (now === undefined) return { size: 0, reason: "nothing was observed yet" };
  const { size } = now;
  const keep = (reason: string): ScalePlan => ({ size, reason });
  if (size < policy.min) return { size: policy.min, reason: `at least ${policy.min} are wanted` };
  if (size > policy.max) return { size: policy.max, reason: `at most ${policy.max} are allowed` };

  const sinceChangeMs = history.changedAt === null ? Infinity : now.at - history.changedAt;
  const high = needs(pool, policy, lastOf(history.observations, policy.growAfterMs));
  if (high !== null) {
    const mildest = high.reduce((least, need) => (need.atLeast < least.atLeast ? need : least));
    const wanted = Math.min(policy.max, mildest.atLeast);
    if (wanted > size) {
      if (sinceChangeMs < policy.cooldownMs) return keep(`cooling down: ${mildest.because()}`);
      return { size: wanted, reason: mildest.because() };
    }
  }

  const low = needs(pool, policy, lastOf(history.observations, policy.shrinkAfterMs));
  if (low === null) return keep("not observed for long enough to shrink");
  const heaviest = low.reduce((most, need) => (need.atMost > most.atMost ? need : most));
  const enough = Math.max(policy.min, heaviest.atMost, Math.ceil(size * SHRINK_SHARE));
  if (enough >= size) return keep(heaviest.because());
  if (sinceChangeMs < policy.shrinkAfterMs) return keep("changed not long ago");
  const span = `${Math.round(policy.shrinkAfterMs / 1_000)} s`;
  return { size: enough, reason: `no more was needed for ${span}: ${heaviest.because()}` };
}

/** The newest observations that cover the span, without a hole; null where they do not reach so far back. */
function lastOf(observations: readonly PoolObservation[], spanMs: number): readonly PoolObservation[] | null {
  const now = observations.at(-1);
  if (now === undefined) return null;
  for (let first = observations.length - 1; first >= 0; first--) {
    const { at } = observations[first] as PoolObservation;
    if (now.at - at >= spanMs) return observations.slice(first);
    const before = observations[first - 1];
    if (before === undefined || at - before.at > HOLE_MS) return null;
  }
  return null;
}

/** What each observation says; null where there are none, or one of them says nothing. */
function needs(
  pool: ScaledPool,
  policy: ScalingPolicy,
  observations: readonly PoolObservation[] | null,
): readonly NeededSize[] | null {
  const said = observations?.map((observation) => neededSize(pool, policy, observation)) ?? [];
  const known = said.filter((need) => need !== null);
  return known.length === 0 || known.length < said.length ? null : known;
}
