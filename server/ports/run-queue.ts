import type { SessionKey, TenantId, WorkerId } from "../core/ids.ts";
import type { Lane } from "../core/lane.ts";

/** A session that is ready: it has a queued run and nobody executes it. */
export interface ReadySession {
  readonly tenant: TenantId;
  readonly sessionKey: SessionKey;
  readonly lane: Lane;
  /** `shared`, or the tenant's own pool. */
  readonly pool: string;
}

/** A ready session handed to one worker; `receipt` is the adapter's own. */
export interface Delivery extends ReadySession {
  readonly receipt: string;
}

export interface EnqueueAnswer {
  /** False when the session was in the queue already; it will be looked at once more all the same. */
  readonly added: boolean;
  /** Sessions of the tenant that wait outside the pool's stream, after this call: the measure of overload. */
  readonly backlog: number;
}

export interface QueueDepth {
  /** Admitted and not yet taken. */
  readonly ready: number;
  /** Taken by workers and not yet done. */
  readonly delivered: number;
  /** Waiting in tenants' backlogs for lane width. */
  readonly backlog: number;
}

/**
 * Wakes workers. It carries sessions that are ready, not runs, and holds no truth: Postgres knows which sessions
 * are ready, a lost entry is added again by the sweep, a doubled one is answered `busy` or `empty` by `claim`.
 *
 * - A session is in the queue at most once. An enqueue while it is taken is remembered, and `done` puts it back in
 *   the queue: so a run accepted between a worker's `finish` and its `done` is not forgotten.
 * - At most `laneWidths[lane]` sessions of a tenant and lane are admitted or taken at once; the rest wait in that
 *   tenant's backlog, first come first served, and `done` admits the next. So no tenant waits behind another's backlog.
 * - Every method is safe to repeat.
 * @throws HAError STORE_UNAVAILABLE from every method while the store is away
 */
export interface RunQueue {
  enqueue(sessions: readonly ReadySession[]): Promise<EnqueueAnswer[]>;
  /**
   * Up to `max` sessions of the pools, waiting at most `waitMs` for the first one; empty when none came.
   * Ends early, with what it has, when the signal aborts.
   */
  take(
    worker: WorkerId,
    pools: readonly string[],
    max: number,
    waitMs: number,
    signal?: AbortSignal,
  ): Promise<Delivery[]>;
  /**
   * The worker no longer looks at these sessions; also called for deliveries that turned out busy or empty. After a
   * call that failed, a session may be delivered to the same worker again.
   */
  done(worker: WorkerId, deliveries: readonly Delivery[]): Promise<void>;
  /** Puts everything a dead worker had taken back into the queue, and forgets the worker; answers how many. */
  reclaim(worker: WorkerId, pools: readonly string[]): Promise<number>;
  /** Workers that the queue knows as takers of the pool, alive or not. */
  workers(pool: string): Promise<WorkerId[]>;
  depth(pool: string): Promise<QueueDepth>;
  /**
   * Changes whenever the store lost its content (restart, flush); the sweep then adds everything again.
   * Null: not known yet.
   */
  epoch(pool: string): Promise<string | null>;
  close(): Promise<void>;
}
