import type { TenantId } from "../core/ids.ts";
import type { TenantLimits } from "../core/tenant-limits.ts";

/** What is counted by the minute. */
export type RateLimits = Pick<TenantLimits, "requestsPerMinute" | "tokensPerMinute">;

export type RateAnswer =
  | { readonly kind: "allowed" }
  | {
      readonly kind: "refused";
      readonly reason: "tenant-requests" | "tenant-tokens";
      /** When the same request may succeed. */
      readonly retryAfterMs: number;
    };

/**
 * Requests and tokens of tenants by the minute, as token buckets: so much at once as a minute allows, and in the long run
 * no more than that. Buckets of tenants know nothing of one another.
 */
export interface RateLimiter {
  /**
   * Takes one request, if the tenant has one left and is not out of tokens. Without limits everything is allowed.
   * @throws HAError STORE_UNAVAILABLE from adapters that ask a store
   */
  take(tenant: TenantId, limits: RateLimits): Promise<RateAnswer>;
  /**
   * Takes tokens that were used, also more than are left: then the tenant waits until they have come in again. Only of
   * tenants whose tokens were limited at their last `take`.
   * @throws HAError STORE_UNAVAILABLE from adapters that ask a store
   */
  charge(tokens: ReadonlyMap<TenantId, number>): Promise<void>;
  close(): Promise<void>;
}
