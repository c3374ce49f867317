import type { TenantId } from "../core/ids.ts";
import type { LimitReason } from "../core/tenant-limits.ts";
import type { Clock } from "../ports/clock.ts";

/** Keys remembered at once; past it, those that are full again are forgotten. */
const KEYS_MAX = 10_000;

export interface TokenBuckets {
  /** Takes one; false when none is left. */
  take(key: string): boolean;
  /** True when none is left. */
  empty(key: string): boolean;
}

/** A token bucket per key: `burst` at once, `perSecond` in the long run. */
export function tokenBuckets(options: {
  readonly perSecond: number;
  readonly burst: number;
  readonly clock: Clock;
}): TokenBuckets {
  const { perSecond, burst, clock } = options;
  const buckets = new Map<string, { left: number; at: number }>();

  const level = (bucket: { left: number; at: number }, now: number): number =>
    Math.min(burst, bucket.left + ((now - bucket.at) / 1_000) * perSecond);

  const makeRoom = (now: number): void => {
    for (const [key, bucket] of buckets) if (level(bucket, now) >= burst) buckets.delete(key);
    // Everybody is over the limit at once: start again instead of growing.
    if (buckets.size >= KEYS_MAX) buckets.clear();
  };

  return {
    take(key) {
      const now = clock.monotonic();
      let bucket = buckets.get(key);
      if (!bucket) {
        if (buckets.size >= KEYS_MAX) makeRoom(now);
        bucket = { left: burst, at: now };
        buckets.set(key, bucket);
      }
      bucket.left = level(bucket, now);
      bucket.at = now;
      if (bucket.left < 1) return false;
      bucket.left -= 1;
      return true;
    },
    empty(key) {
      const bucket = buckets.get(key);
      return bucket !== undefined && level(bucket, clock.monotonic()) < 1;
    },
  };
}

/** How long an observed backlog is believed; then one send goes through and looks again. */
const BELIEVED_MS = 1_000;

/**
 * Remembers, per tenant, how many sessions waited for lane width at the last enqueue, so that a tenant far behind is
 * refused before anything is accepted for it.
 */
export function backlogGuard(options: { readonly limit: number; readonly clock: Clock }) {
  const { limit, clock } = options;
  const seen = new Map<string, { backlog: number; at: number }>();
  return {
    observe(tenant: string, backlog: number): void {
      if (backlog > limit) seen.set(tenant, { backlog, at: clock.monotonic() });
      else seen.delete(tenant);
    },
    /** True while the tenant is over its limit. */
    over(tenant: string): boolean {
      const last = seen.get(tenant);
      if (!last) return false;
      const now = clock.monotonic();
      if (last.at + BELIEVED_MS > now) return true;
      last.at = now; // this one goes through; others wait for what it sees
      return false;
    },
  };
}

/** How long a tenant that was found full is refused without asking again. */
const FULL_FOR_MS = 100;
/** What concerns every request of a tenant, whichever its session. */
const OF_ALL_SESSIONS: readonly LimitReason[] = ["tenant-queued-runs", "tenant-storage"];

/** Remembers for a moment what the ledger has refused, so that a flood costs one look at the ledger per moment. */
export function refusalMemory(clock: Clock) {
  const seen = new Map<TenantId, { readonly reason: LimitReason; readonly until: number }>();
  return {
    note(tenant: TenantId, reason: LimitReason): void {
      if (!OF_ALL_SESSIONS.includes(reason)) return;
      if (seen.size >= KEYS_MAX) seen.clear();
      seen.set(tenant, { reason, until: clock.monotonic() + FULL_FOR_MS });
    },
    reason(tenant: TenantId): LimitReason | null {
      const last = seen.get(tenant);
      return last !== undefined && last.until > clock.monotonic() ? last.reason : null;
    },
  };
}
