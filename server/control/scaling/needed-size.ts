import type { InstanceLoad, ScaledPool, ScalingPolicy } from "../../core/scaling.ts";
import type { PoolObservation } from "./pool-observation.ts";

/**
 * How full instances may be. Between the two nothing changes: a load that swings by less than a quarter never moves
 * a pool, whatever its period.
 */
const FULL = { grow: 0.8, shrink: 0.6 } as const;
/** Cores that one process may use: its event loop is one thread, and answers late above that. */
const BUSY = { grow: 0.7, shrink: 0.5 } as const;
const GIB = 1024 ** 3;
const MEMORY_BYTES = { grow: 1.5 * GIB, shrink: 1.2 * GIB } as const;
/** Workers with fewer free slots than this are what the queue waits for. */
const SATURATED = 0.9;
/** A queue that is late asks for at most so many times the size at once. */
const LATE_FACTOR = 2;

/** What one observation says of a pool's size, before time and limits. */
export interface NeededSize {
  /** Fewer than this are too few. */
  readonly atLeast: number;
  /** More than this are too many. Never below `atLeast`. */
  readonly atMost: number;
  /** The signal that asks for most, for people; made when somebody asks, since few observations are told of. */
  readonly because: () => string;
}

/** One signal's opinion. */
interface Signal {
  readonly grow: number;
  readonly shrink: number;
  readonly because: () => string;
}

/**
 * Queue first, then CPU and memory; connections for gateways. Null when no instance reports: then nothing is known.
 * Except for a late queue each signal says how many instances its sum needs, whatever their number is now: so sizes
 * do not run away while new instances are still starting.
 */
export function neededSize(
  pool: ScaledPool,
  policy: ScalingPolicy,
  observation: PoolObservation,
): NeededSize | null {
  const { loads } = observation;
  if (loads.length === 0) return null;
  const signals =
    pool === "worker"
      ? [lateQueue(policy, observation), slots(observation), cpu(loads), memory(loads)]
      : [connections(policy, loads), cpu(loads), memory(loads)];
  // The first of equal ones: that is the order of their weight.
  const strongest = signals.reduce((most, signal) => (signal.grow > most.grow ? signal : most));
  const atLeast = strongest.grow;
  const atMost = Math.max(atLeast, ...signals.map(({ shrink }) => shrink));
  return { atLeast, atMost, because: strongest.because };
}

function slots({ loads, queue }: PoolObservation): Signal {
  const each = sum(loads, "slots") / loads.length;
  const sessions = queue.running + queue.waiting;
  return {
    ...share(sessions, { grow: each * FULL.grow, shrink: each * FULL.shrink }),
    because: () =>
      `${queue.running} sessions running and ${queue.waiting} waiting, for ${round(each)} slots a worker`,
  };
}

/** Only where workers are what is missing: a queue may also wait because Redis is away. */
function lateQueue({ queueDelayMs }: ScalingPolicy, { loads, queue, size }: PoolObservation): Signal {
  const none = { grow: 0, shrink: 0, because: () => "" };
  const late = queue.waiting > 0 && queue.delayMs > queueDelayMs;
  const settled = loads.length >= size;
  const room = sum(loads, "slots");
  const saturated = sum(loads, "busy") >= SATURATED * room || sum(loads, "cpu") >= BUSY.grow * loads.length;
  if (!late || !settled || !saturated) return none;
  const wanted = Math.ceil(size * Math.min(LATE_FACTOR, queue.delayMs / queueDelayMs));
  return {
    grow: wanted,
    shrink: wanted,
    because: () =>
      `the oldest of ${queue.waiting} waiting sessions waits for ${seconds(queue.delayMs)}, more than ${seconds(queueDelayMs)}`,
  };
}

function cpu(loads: readonly InstanceLoad[]): Signal {
  const cores = sum(loads, "cpu");
  return { ...share(cores, BUSY), because: () => `${round(cores)} cores in use by ${instances(loads)}` };
}

function memory(loads: readonly InstanceLoad[]): Signal {
  const bytes = sum(loads, "rssBytes");
  return {
    ...share(bytes, MEMORY_BYTES),
    because: () => `${round(bytes / GIB)} GiB in use by ${instances(loads)}`,
  };
}

function connections(policy: ScalingPolicy, loads: readonly InstanceLoad[]): Signal {
  const clients = sum(loads, "connections");
  const { connections: each } = policy;
  return {
    ...share(clients, { grow: each * FULL.grow, shrink: each * FULL.shrink }),
    because: () => `${clients} clients connected, for ${each} a gateway`,
  };
}

const share = (total: number, each: { readonly grow: number; readonly shrink: number }) => ({
  grow: Math.ceil(total / each.grow),
  shrink: Math.ceil(total / each.shrink),
});

type Measure = "cpu" | "rssBytes" | "busy" | "slots" | "connections";
const sum = (loads: readonly InstanceLoad[], measure: Measure): number =>
  loads.reduce((total, load) => total + load[measure], 0);

const round = (value: number): number => Math.round(value * 10) / 10;
const seconds = (ms: number): string => `${round(ms / 1_000)} s`;
const instances = ({ length }: readonly unknown[]): string =>
  `${length} ${length === 1 ? "instance" : "instances"}`;
