import type { TenantId } from "../../core/ids.ts";
import type { Clock } from "../../ports/clock.ts";
import type { RateLimiter } from "../../ports/rate-limiter.ts";

const MINUTE_MS = 60_000;
/** Tenants remembered at once; beyond it those are forgotten whose buckets are full again. */
const TENANTS_MAX = 10_000;

interface Bucket {
  perMinute: number;
  level: number;
  at: number;
}
interface Buckets {
  requests?: Bucket;
  tokens?: Bucket;
}

/** Buckets of this process alone: for one process, and for the time in which the shared ones are away. */
export function memoryRateLimiter({ clock }: { readonly clock: Pick<Clock, "monotonic"> }): RateLimiter {
  const tenants = new Map<TenantId, Buckets>();

  const refill = (bucket: Bucket, now: number): void => {
    const { perMinute, level, at } = bucket;
    bucket.level = Math.min(perMinute, level + ((now - at) * perMinute) / MINUTE_MS);
    bucket.at = now;
  };

  /** The bucket as the limit is now: a new one is full, one whose limit was lowered holds no more than that. */
  const bucketOf = (
    known: Bucket | undefined,
    perMinute: number | undefined,
    now: number,
  ): Bucket | undefined => {
    if (perMinute === undefined) return undefined;
    const bucket = known ?? { perMinute, level: perMinute, at: now };
    bucket.perMinute = perMinute;
    refill(bucket, now);
    return bucket;
  };

  const waitMs = ({ level, perMinute }: Bucket): number => ((1 - level) * MINUTE_MS) / perMinute;

  const makeRoom = (now: number): void => {
    for (const [tenant, { requests, tokens }] of tenants) {
      const full = [requests, tokens].every((bucket) => {
        if (bucket) refill(bucket, now);
        return !bucket || bucket.level >= bucket.perMinute;
      });
      if (full) tenants.delete(tenant);
    }
  };

  return {
    take: async (tenant, { requestsPerMinute, tokensPerMinute }) => {
      const now = clock.monotonic();
      const known = tenants.get(tenant);
      const requests = bucketOf(known?.requests, requestsPerMinute, now);
      const tokens = bucketOf(known?.tokens, tokensPerMinute, now);
      if (!requests && !tokens) {
        tenants.delete(tenant);
        return { kind: "allowed" };
      }
      if (!known && tenants.size >= TENANTS_MAX) makeRoom(now);
      tenants.set(tenant, { ...(requests ? { requests } : {}), ...(tokens ? { tokens } : {}) });
      if (tokens && tokens.level < 1) {
        return { kind: "refused", reason: "tenant-tokens", retryAfterMs: Math.ceil(waitMs(tokens)) };
      }
      if (requests && requests.level < 1) {
        return { kind: "refused", reason: "tenant-requests", retryAfterMs: Math.ceil(waitMs(requests)) };
      }
      if (requests) requests.level -= 1;
      return { kind: "allowed" };
    },

    charge: async (used) => {
      const now = clock.monotonic();
      for (const [tenant, amount] of used) {
        const tokens = tenants.get(tenant)?.tokens;
        if (!tokens) continue;
        refill(tokens, now);
        tokens.level -= amount;
      }
    },

    close: async () => {},
  };
}
