/** A worker whose heartbeat is older than this has lost its sessions, by the store's clock. */
export const LEASE_TTL_MS = 10_000;
/** Between two heartbeats of a worker. */
export const HEARTBEAT_INTERVAL_MS = 3_000;
/** A holder stops trusting its lease this much before the TTL, counted from when it *sent* the last confirmed heartbeat. */
export const LEASE_MARGIN_MS = 2_000;

/**
 * Milliseconds for which the holder may still write, or at most zero. Both times are of the holder's monotonic clock;
 * the store received the heartbeat after it was sent, so its TTL ends later than the holder believes.
 */
export const leaseTrustMs = (confirmedSentAt: number, now: number): number =>
  confirmedSentAt + LEASE_TTL_MS - LEASE_MARGIN_MS - now;
