import { setImmediate as passOver } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { fakeClock } from "../testing/fake-clock.ts";
import { TextPace } from "./text-pace.ts";

const setup = (flushingTakesMs: number) => {
  const clock = fakeClock();
  let busyMs = 0;
  let told = 0;
  const pace = new TextPace(
    { monotonic: () => clock.monotonic() + busyMs, sleep: (ms) => clock.sleep(ms) },
    { restPerTelling: 1 },
    { flush: () => void (busyMs += flushingTakesMs) },
  );
  return { clock, pace, teller: { tellTexts: () => void told++ }, told: () => told };
};

describe("TextPace", () => {
  it("tells texts once for a pass of the event loop, however often it was asked to", async () => {
    const { pace, teller, told } = setup(0);
    for (let i = 0; i < 10; i++) pace.tellSoon(teller);
    expect(told()).toBe(0);
    await passOver();
    expect(told()).toBe(1);
    pace.tellSoon(teller);
    await passOver();
    expect(told()).toBe(2);
  });

  it("rests for as long as telling and sending took, and tells all that came meanwhile at once", async () => {
    const { clock, pace, teller, told } = setup(40);
    pace.tellSoon(teller);
    await passOver();
    pace.tellSoon(teller);
    await clock.advance(39);
    pace.tellSoon(teller);
    await passOver();
    expect(told()).toBe(1);
    await clock.advance(2);
    await passOver();
    expect(told()).toBe(2);
  });
});
