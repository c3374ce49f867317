import type { LaneWidths } from "../../core/lane.ts";
import type { PoolSize, ScaledPool } from "../../core/scaling.ts";
import type { Logger } from "../../ports/logger.ts";
import type { ControlTerm, ScalingStore } from "../../ports/scaling-store.ts";
import { planScale, type ScalePlan } from "./plan-scale.ts";
import { observationOf, type PoolObservation } from "./pool-observation.ts";

/** A leader that is silent for so long is replaced; it renews its term every second. */
export const TERM_MS = 5_000;
/** Loads are reported every two seconds; an instance that missed several is not counted. */
const LOAD_MAX_AGE_MS = 7_000;

export interface ScalerDeps {
  readonly scaling: ScalingStore;
  readonly laneWidths: LaneWidths;
  readonly logger: Logger;
  /** Names this life of this process; another life needs another name. */
  readonly holder: string;
}

export interface Scaler {
  /**
   * Leads if nobody else does, and decides on every pool whose size is automatic.
   * @throws HAError STORE_UNAVAILABLE; what was observed is kept, and a long gap is noticed by the plan
   */
  pass(): Promise<void>;
  /** Lets another process lead at once. @throws HAError STORE_UNAVAILABLE */
  resign(): Promise<void>;
}

/**
 * Sizes the pools. Any number may run: one leads at a time, and what it has observed is in its memory alone, so that
 * the next one begins anew and is slower to shrink, never faster.
 */
export function scaler({ scaling, laneWidths, logger, holder }: ScalerDeps): Scaler {
  let leading: ControlTerm | null = null;
  const seen = new Map<ScaledPool, PoolObservation[]>();

  function follow(term: ControlTerm | null): void {
    if (term?.token === leading?.token) return;
    // The very next token: the term lapsed for a moment, and nobody else has led meanwhile.
    const goesOn = term !== null && leading !== null && term.token === leading.token + 1;
    if (term === null) logger.info("scaling.term_lost", { token: leading?.token });
    else logger.info("scaling.term_begun", { token: term.token, goesOn });
    leading = term;
    if (!goesOn) seen.clear();
  }

  /** Remembers no more than the plan looks at. */
  function remember(pool: ScaledPool, observation: PoolObservation, spanMs: number): PoolObservation[] {
    const known = seen.get(pool) ?? [];
    known.push(observation);
    // One that is older than the span stays: it shows that the span is covered.
    while (known[1] !== undefined && observation.at - known[1].at >= spanMs) known.shift();
    seen.set(pool, known);
    return known;
  }

  async function decide(
    term: ControlTerm,
    { pool, desired }: PoolSize,
    { size, reason }: ScalePlan,
  ): Promise<void> {
    const change = { pool, from: desired, to: size, reason };
    if (await scaling.decide(term, change)) logger.info("scaling.decided", change);
    else logger.warn("scaling.refused", change);
  }

  return {
    async pass() {
      const term = await scaling.lead(holder, TERM_MS);
      follow(term);
      if (term === null) return;
      const sizes = await scaling.sizes(1);
      const auto = sizes.filter(({ policy }) => policy.auto);
      for (const { pool, policy } of sizes) if (!policy.auto) seen.delete(pool);
      if (auto.length === 0) return;
      const report = await scaling.observe(LOAD_MAX_AGE_MS);
      for (const size of auto) {
        const { pool, policy, desired, decisions } = size;
        const observation = observationOf(pool, desired, report, laneWidths);
        logger.debug("scaling.observed", { pool, observation });
        const observations = remember(pool, observation, Math.max(policy.shrinkAfterMs, policy.growAfterMs));
        const plan = planScale(pool, policy, { observations, changedAt: decisions[0]?.at ?? null });
        if (plan.size !== desired) await decide(term, size, plan);
      }
    },

    async resign() {
      if (leading === null) return;
      leading = null;
      await scaling.resign(holder);
    },
  };
}
