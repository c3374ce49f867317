import { describe, expect, it, onTestFinished } from "vitest";
import { startTestRedis } from "../../testing/services.ts";
import { redisFacts } from "./facts.ts";

describe("redisFacts", () => {
  it("tells version, eviction policy, memory and persistence", async () => {
    const redis = await startTestRedis();
    onTestFinished(() => redis.stop());
    expect(await redisFacts(redis.url)).toEqual({
      version: expect.stringMatching(/^\d+\.\d+/),
      evictionPolicy: expect.stringMatching(/./),
      roundTripMs: expect.any(Number),
      usedMemoryBytes: expect.any(Number),
      maxMemoryBytes: expect.any(Number),
      persistence: { kinds: [], failed: false },
    });
  });

  it("says STORE_UNAVAILABLE for a server that does not answer", async () => {
    await expect(redisFacts("redis://127.0.0.1:1")).rejects.toMatchObject({
      code: "STORE_UNAVAILABLE",
      message: expect.stringContaining("Redis did not answer"),
    });
  });
});
