import type { WorkerId } from "../core/ids.ts";
import type { HeartbeatAnswer, LockState } from "./run-ledger.ts";

/**
 * The one connection on which a worker proves that it lives. It is apart from the ledger's pool, because it is used
 * from a thread of its own and because the session advisory lock lives and dies with it.
 *
 * Every call ends within `HEARTBEAT_DEADLINE_MS`, also where the store accepts and never answers.
 * @throws HAError STORE_UNAVAILABLE from every method but `close`; the next call connects anew
 */
export interface HeartbeatLink {
  /**
   * Connects where needed and takes the session advisory lock of the worker; costs nothing while it is held.
   * `absent`: another session has it still (a half-open predecessor), or there are none here (a transaction pooler).
   */
  lock(worker: WorkerId): Promise<LockState>;
  /** `RunLedger.heartbeat` over this connection. */
  heartbeat(worker: WorkerId, lock: LockState): Promise<HeartbeatAnswer>;
  /** The lock falls with the connection. Never throws. */
  close(): Promise<void>;
}

/** Longest a call may take: two of them in a row still fit into the lease's trust window. */
export const HEARTBEAT_DEADLINE_MS = 2_500;

/**
 * What a module exports as `openHeartbeatLink` so that the heartbeat thread can load it by its URL. `settings` is
 * whatever the composition passed (structured clone); connecting happens at the first call.
 */
export type OpenHeartbeatLink = (settings: unknown) => HeartbeatLink;
