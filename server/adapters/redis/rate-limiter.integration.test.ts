import { afterAll, beforeAll, expect, it } from "vitest";
import { tenantId } from "../../core/ids.ts";
import { rateLimiterContract } from "../../ports/contract/rate-limiter.contract.ts";
import type { RateLimiter } from "../../ports/rate-limiter.ts";
import { sharedElseOwn } from "../../rate-limiting.ts";
import { recordingLogger } from "../../testing/recording-logger.ts";
import { seededRandom } from "../../testing/seeded-random.ts";
import { startTestRedis, type TestStore } from "../../testing/services.ts";
import { startTcpProxy } from "../../testing/tcp-proxy.ts";
import { until } from "../../testing/until.ts";
import { memoryRateLimiter } from "../memory/rate-limiter.ts";
import { systemClock } from "../system/clock.ts";
import { redisRateLimiter } from "./rate-limiter.ts";

let redis: TestStore;
let count = 0;
beforeAll(async () => {
  redis = await startTestRedis();
});
afterAll(() => redis.stop());

const open = (prefix: string, url = redis.url): RateLimiter =>
  redisRateLimiter({ url, logger: recordingLogger(), random: seededRandom(++count), prefix });

rateLimiterContract("redis", async () => {
  const prefix = `test-limits-${++count}`;
  return { limiters: [open(prefix), open(prefix)], passTime: (ms) => systemClock.sleep(ms) };
});

it("counts for itself while Redis is away, and together with the others again afterwards", async () => {
  const { port } = new URL(redis.url);
  const proxy = await startTcpProxy(Number(port));
  const logger = recordingLogger();
  const url = redis.url.replace(`:${port}`, `:${proxy.port}`);
  const limiter = sharedElseOwn(
    open("test-limits-away", url),
    memoryRateLimiter({ clock: systemClock }),
    logger,
  );
  const direct = open("test-limits-away");
  try {
    const tenant = tenantId("acme");
    const limits = { requestsPerMinute: 2 };
    expect((await limiter.take(tenant, limits)).kind).toBe("allowed");
    await proxy.close();
    await until(async () => {
      await limiter.take(tenantId("probe"), limits);
      return logger.lines.some(({ event }) => event === "rate_limits.own") ? true : null;
    });
    const alone = [];
    for (let i = 0; i < 3; i++) alone.push((await limiter.take(tenant, limits)).kind);
    expect(alone).toEqual(["allowed", "allowed", "refused"]);
    expect((await direct.take(tenant, limits)).kind).toBe("allowed"); // what it took alone is not known to the others
    expect((await direct.take(tenant, limits)).kind).toBe("refused");
  } finally {
    await Promise.all([limiter.close(), direct.close()]);
  }
});
