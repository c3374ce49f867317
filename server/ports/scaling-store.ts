import type { InstanceLoad, LaneDemand, PoolSize, ScaledPool, ScalingPolicy } from "../core/scaling.ts";

/** The right to decide on sizes, until its token is not the newest. */
export interface ControlTerm {
  readonly holder: string;
  readonly token: number;
}

/** How loaded a deployment is, at one moment of the store's clock. */
export interface LoadReport {
  readonly at: number;
  /** Of instances that have reported lately and do not drain. */
  readonly loads: readonly InstanceLoad[];
  /** Of the pools of tenants that live workers serve. */
  readonly lanes: readonly LaneDemand[];
}

/**
 * What sizes the pools are to have, who may decide it, and the loads it is decided by. A size here is a wish: the
 * supervisor, or whoever runs instances elsewhere, makes it so.
 *
 * Clock: the store's, everywhere. Fencing: each term carries a larger token than every term before it, and a decision
 * with another one than the newest is refused.
 * @throws HAError STORE_UNAVAILABLE from every method
 */
export interface ScalingStore {
  /**
   * Takes the term if nobody leads or the leader is late, and renews it for who leads; null while another one leads.
   * A leader that let its term lapse leads under a new token.
   */
  lead(holder: string, ttlMs: number): Promise<ControlTerm | null>;
  /** Ends the term, so that others need not wait for it to lapse. Does nothing for who does not lead. */
  resign(holder: string): Promise<void>;

  /** Replaces what the instance said before. */
  report(load: InstanceLoad): Promise<void>;
  /** The instance takes no more work: its load and room do not count from now on. */
  forget(instance: string): Promise<void>;
  /** `maxAgeMs`: how old a load may be. */
  observe(maxAgeMs: number): Promise<LoadReport>;

  /** Pools of which a size was ever wanted, each with at most that many decisions. */
  sizes(decisions: number): Promise<PoolSize[]>;
  /**
   * Changes a size and records why.
   * @returns false, and changes nothing, where the term is over, the size is not `from` any more, or the policy is not auto
   */
  decide(
    term: ControlTerm,
    change: {
      readonly pool: ScaledPool;
      readonly from: number;
      readonly to: number;
      readonly reason: string;
    },
  ): Promise<boolean>;
  /**
   * An operator's wish. `desired` null leaves the size as it is, and `otherwise` is the size of a pool that had none.
   * Needs an operator's rights.
   */
  setSize(
    pool: ScaledPool,
    wish: {
      readonly desired: number | null;
      readonly otherwise: number;
      readonly policy: ScalingPolicy;
      readonly reason: string;
    },
  ): Promise<void>;
}
