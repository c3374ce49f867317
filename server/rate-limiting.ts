import { asHAError } from "./core/errors.ts";
import type { Logger } from "./ports/logger.ts";
import type { RateLimiter } from "./ports/rate-limiter.ts";

/**
 * The buckets that all processes share; while they cannot be asked this process counts for itself, so that a tenant gets
 * at most its limit once per gateway. Tokens that are used meanwhile are charged to nobody.
 */
export function sharedElseOwn(shared: RateLimiter, own: RateLimiter, logger: Logger): RateLimiter {
  let away = false;
  const tell = (now: boolean, error?: unknown): void => {
    if (now === away) return;
    away = now;
    if (now) logger.warn("rate_limits.own", { message: asHAError(error).message });
    else logger.info("rate_limits.shared");
  };
  return {
    async take(tenant, limits) {
      try {
        const answer = await shared.take(tenant, limits);
        tell(false);
        return answer;
      } catch (error) {
        tell(true, error);
        return own.take(tenant, limits);
      }
    },
    async charge(tokens) {
      try {
        await shared.charge(tokens);
      } catch (error) {
        tell(true, error);
        await own.charge(tokens);
      }
    },
    async close() {
      await Promise.all([shared.close(), own.close()]);
    },
  };
}
