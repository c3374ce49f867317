import type { TenantId } from "../core/ids.ts";
import type { RunResult } from "../core/run.ts";
import type { Clock } from "../ports/clock.ts";
import type { RateLimiter } from "../ports/rate-limiter.ts";

/** How long used tokens are collected: one call for all runs that end meanwhile. */
const EVERY_MS = 250;

export interface TokenCharges {
  /** Takes note of what a run has used. */
  add(tenant: TenantId, usage: RunResult["usage"]): void;
  /** Charges what was noted. Never rejects. */
  flush(): Promise<void>;
}

/** Charges tenants for the tokens that their runs have used. What cannot be charged is charged to nobody. */
export function tokenCharges({
  rateLimiter,
  clock,
}: {
  readonly rateLimiter: Pick<RateLimiter, "charge">;
  readonly clock: Pick<Clock, "sleep">;
}): TokenCharges {
  let used = new Map<TenantId, number>();
  let flushing: Promise<void> | null = null;

  const flush = async (): Promise<void> => {
    flushing = null;
    if (used.size === 0) return;
    const charged = used;
    used = new Map();
    await rateLimiter.charge(charged).catch(() => undefined);
  };

  return {
    add(tenant, usage) {
      const tokens = usage ? usage.input + usage.output : 0;
      if (tokens <= 0) return;
      used.set(tenant, (used.get(tenant) ?? 0) + tokens);
      flushing ??= clock.sleep(EVERY_MS).then(flush);
    },
    flush,
  };
}
