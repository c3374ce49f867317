import { expect, it } from "vitest";
import { systemClock } from "./clock.ts";
import { systemRandom } from "./random.ts";

it("sleep ends at once when the signal aborts, and never rejects", async () => {
  const controller = new AbortController();
  const sleeping = systemClock.sleep(3_600_000, controller.signal);
  controller.abort();
  await expect(sleeping).resolves.toBeUndefined();
  await expect(systemClock.sleep(3_600_000, controller.signal)).resolves.toBeUndefined();
});

it("sleep takes its time", async () => {
  const before = systemClock.monotonic();
  await systemClock.sleep(20);
  expect(systemClock.monotonic() - before).toBeGreaterThanOrEqual(19);
});

it("random answers in its ranges", () => {
  expect(systemRandom.float()).toBeLessThan(1);
  expect(systemRandom.bytes(16)).toHaveLength(16);
  expect(systemRandom.uuid()).toMatch(
    /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/u,
  );
});
