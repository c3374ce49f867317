import type { RunId, SessionKey, TenantId, WorkerId } from "../core/ids.ts";
import type { Notice, RunEvent, WorkerSignal } from "../core/run-event.ts";

/** May change when the connection first stands: read it at each use. */
export interface EventBusCapabilities {
  /** False: `replay` answers null, and followers read Postgres for what they missed. */
  readonly history: boolean;
}

export interface TenantHandlers {
  /** Events of one session arrive in the order of their publication; duplicates and gaps are possible. */
  onEvents(events: readonly RunEvent[]): void;
  onNotice(notice: Notice): void;
  /** The subscription was cut and is back: whatever happened between was missed. */
  onGap(): void;
}

/** Ends a subscription; calling it twice does nothing. */
export type Unsubscribe = () => Promise<void>;

/**
 * Carries what happens to those who watch, while it happens. It holds no truth: results are in Postgres.
 *
 * Writers number events themselves (core/run-event.ts). The history of a session is capped in length and age;
 * publishing the same runSeq again changes nothing, and an event whose token is smaller than the newest one kept
 * for its session is refused, so that a paused holder cannot speak over its successor (adapters without history
 * deliver it, and followers drop it by the same rule).
 */
export interface EventBus {
  readonly capabilities: EventBusCapabilities;
  /**
   * Appends and publishes. All events must be of one session, in order.
   * @returns `fenced` when a newer token has written; nothing was published then
   * @throws HAError STORE_UNAVAILABLE: unknown whether it was published; publishing again is safe
   */
  publish(events: readonly RunEvent[]): Promise<"published" | "fenced">;
  /** As `publish`, for many sessions in one round trip; answers in the order of the batches. */
  publishMany(batches: readonly (readonly RunEvent[])[]): Promise<("published" | "fenced")[]>;
  /**
   * The kept events of one run with a runSeq above `afterRunSeq`, in order, or null where the history no longer
   * reaches back to `afterRunSeq + 1` of its attempt or to a `started`/`replace` event that stands for it.
   * What is answered always is enough to know the run's whole text from it and from what the caller had.
   */
  replay(
    tenant: TenantId,
    sessionKey: SessionKey,
    runId: RunId,
    afterRunSeq: number,
  ): Promise<RunEvent[] | null>;
  /**
   * Every event and notice of a tenant, from when the promise resolves. It does not throw while the store is away: the
   * subscription stands as one that was cut, and `onGap` follows when it is back.
   */
  subscribe(tenant: TenantId, handlers: TenantHandlers): Promise<Unsubscribe>;
  notify(tenant: TenantId, notice: Notice): Promise<void>;
  /** At most once: the durable mark in the ledger is what counts. */
  signal(worker: WorkerId, signal: WorkerSignal): Promise<void>;
  subscribeSignals(worker: WorkerId, onSignal: (signal: WorkerSignal) => void): Promise<Unsubscribe>;
  /** False while the connection is known to be down: followers then poll the ledger. */
  healthy(): boolean;
  close(): Promise<void>;
}
