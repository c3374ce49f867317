import { rateLimiterContract } from "../../ports/contract/rate-limiter.contract.ts";
import { fakeClock } from "../../testing/fake-clock.ts";
import { memoryRateLimiter } from "./rate-limiter.ts";

rateLimiterContract("memory", async () => {
  const clock = fakeClock();
  const limiter = memoryRateLimiter({ clock });
  return { limiters: [limiter, limiter], passTime: (ms) => clock.advance(ms) };
});
