/** Pools whose size may change while the deployment runs. */
export const SCALED_POOLS = ["gateway", "worker"] as const;
export type ScaledPool = (typeof SCALED_POOLS)[number];

export const isScaledPool = (value: string): value is ScaledPool =>
  (SCALED_POOLS as readonly string[]).includes(value);

/** How a pool is sized. All durations are milliseconds. */
export interface ScalingPolicy {
  /** False: only operators change the size. */
  readonly auto: boolean;
  readonly min: number;
  readonly max: number;
  /** Load has to be high for so long before the pool grows: one odd moment is no reason. */
  readonly growAfterMs: number;
  /** After a change the pool grows again this much later at the earliest: new instances have to take up load first. */
  readonly cooldownMs: number;
  /** Load has to be low for so long, without a change meanwhile, before the pool shrinks. */
  readonly shrinkAfterMs: number;
  /** Workers: how long a session that may run may wait before more of them are wanted. */
  readonly queueDelayMs: number;
  /** Gateways: connected clients that one of them is meant for. */
  readonly connections: number;
}

export const DEFAULT_SCALING: ScalingPolicy = {
  auto: false,
  min: 2,
  max: 8,
  growAfterMs: 2_000,
  cooldownMs: 5_000,
  shrinkAfterMs: 60_000,
  queueDelayMs: 1_000,
  connections: 2_000,
};

/** What an instance says of itself every two seconds. */
export interface InstanceLoad {
  readonly instance: string;
  readonly pool: ScaledPool;
  /** Share of one core over the last interval; threads may bring it above 1. */
  readonly cpu: number;
  /** Share of time in which the event loop was busy. It also grows when the machine is short of CPU. */
  readonly loop: number;
  readonly rssBytes: number;
  /** Workers: sessions under way, and how many fit. 0 for gateways. */
  readonly busy: number;
  readonly slots: number;
  /** Gateways: connected clients. 0 for workers. */
  readonly connections: number;
}

/** One tenant's sessions of one lane, as the ledger knows them. */
export interface LaneDemand {
  readonly tenant: string;
  readonly lane: string;
  readonly ready: number;
  readonly running: number;
  /** Null when none is ready. */
  readonly oldestReadyMs: number | null;
}

/** A pool as it is to be, and its newest decisions, newest first. */
export interface PoolSize {
  readonly pool: ScaledPool;
  readonly desired: number;
  readonly policy: ScalingPolicy;
  readonly decisions: readonly ScalingDecision[];
}

/** One change of a pool's size. */
export interface ScalingDecision {
  readonly pool: ScaledPool;
  readonly from: number;
  readonly to: number;
  /** For people. */
  readonly reason: string;
  /** `operator`, or the control process that decided. */
  readonly by: string;
  /** Milliseconds of the store's clock. */
  readonly at: number;
}
