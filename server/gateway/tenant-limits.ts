import type { TenantId } from "../core/ids.ts";
import { limitReached, type TenantLimits } from "../core/tenant-limits.ts";
import type { Clock } from "../ports/clock.ts";
import type { RateLimiter } from "../ports/rate-limiter.ts";

/** How long limits are remembered of a tenant without a connection: longer than a token is good without asking. */
const FORGET_AFTER_MS = 60_000;

export interface GatewayTenantLimits {
  /** What holds for a tenant as of now; told by whoever has asked the directory. */
  note(tenant: TenantId, limits: TenantLimits): void;
  /**
   * Lets one request of the tenant in.
   * @throws HAError OVERLOADED with the delay after which it may be let in
   */
  admit(tenant: TenantId): Promise<void>;
  /** Forgets those of whom nothing was heard for a while. */
  tidy(): void;
}

/** Limits by the minute, at the door: a tenant without such a limit costs no question. */
export function gatewayTenantLimits(deps: {
  readonly rateLimiter: RateLimiter;
  readonly clock: Clock;
}): GatewayTenantLimits {
  const { rateLimiter, clock } = deps;
  const known = new Map<TenantId, { readonly limits: TenantLimits; readonly at: number }>();

  return {
    note: (tenant, limits) => void known.set(tenant, { limits, at: clock.monotonic() }),

    async admit(tenant) {
      const limits = known.get(tenant)?.limits;
      if (limits?.requestsPerMinute === undefined && limits?.tokensPerMinute === undefined) return;
      const answer = await rateLimiter.take(tenant, limits);
      if (answer.kind === "refused") throw limitReached(answer.reason, answer.retryAfterMs);
    },

    tidy() {
      const before = clock.monotonic() - FORGET_AFTER_MS;
      for (const [tenant, { at }] of known) if (at < before) known.delete(tenant);
    },
  };
}
