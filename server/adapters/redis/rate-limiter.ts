import type { RateLimiter } from "../../ports/rate-limiter.ts";
import { openRedis, type RedisServerOptions, repliesOf } from "./connection.ts";
import { DEFAULT_PREFIX, redisKeys } from "./keys.ts";
import { callScript } from "./scripts.ts";

export interface RedisRateLimiterOptions extends RedisServerOptions {
  /** In front of every key; default `openclaw-ha`. */
  readonly prefix?: string;
}

/** Buckets that all processes share, one hash a tenant; Redis' own clock fills them. A flush fills them all. */
export function redisRateLimiter(options: RedisRateLimiterOptions): RateLimiter {
  const keys = redisKeys(options.prefix ?? DEFAULT_PREFIX);
  const commands = openRedis(options, { name: "limits" });
  return {
    async take(tenant, { requestsPerMinute, tokensPerMinute }) {
      const args = [requestsPerMinute ?? "", tokensPerMinute ?? ""];
      const [refused, retryAfterMs] = (await commands.run((client) =>
        callScript(client, "take", [keys.limits(tenant)], args),
      )) as [number, number];
      if (refused === 0) return { kind: "allowed" };
      return {
        kind: "refused",
        reason: refused === 1 ? "tenant-requests" : "tenant-tokens",
        retryAfterMs,
      };
    },

    async charge(tokens) {
      await commands.run(async (client) => {
        const pipeline = client.pipeline();
        for (const [tenant, used] of tokens) {
          void callScript(pipeline, "charge", [keys.limits(tenant)], [used]);
        }
        repliesOf(await pipeline.exec());
      });
    },

    close: async () => commands.close(),
  };
}
