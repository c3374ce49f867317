import { describe, expect, it } from "vitest";
import { HAError } from "../core/errors.ts";
import { fakeClock } from "../testing/fake-clock.ts";
import { recordingLogger } from "../testing/recording-logger.ts";
import { seededRandom } from "../testing/seeded-random.ts";
import { loop } from "./loop.ts";

describe("a loop of the control process", () => {
  const begin = (pass: () => Promise<unknown>) => {
    const clock = fakeClock();
    const logger = recordingLogger();
    const stop = new AbortController();
    const looping = loop(
      { name: "test", intervalMs: 300, pass, clock, random: seededRandom(1), logger },
      stop.signal,
    );
    return { clock, logger, stop, looping };
  };

  it("repeats its pass with jitter, and stops without a timer left", async () => {
    const at: number[] = [];
    const started = begin(() => Promise.resolve(at.push(started?.clock.monotonic() ?? 0)));
    await started.clock.advance(3_000);
    expect(at.length).toBeGreaterThanOrEqual(8);
    expect(at.length).toBeLessThanOrEqual(14);
    expect(new Set(at.slice(1).map((time, i) => time - at[i]!)).size).toBeGreaterThan(3);
    started.stop.abort();
    await started.looping;
    expect(started.clock.sleepers()).toBe(0);
  });

  it("says once that it fails and once that it is well again, with growing pauses between", async () => {
    let away = true;
    let passes = 0;
    const { clock, logger, stop, looping } = begin(() => {
      passes++;
      return away ? Promise.reject(new HAError("STORE_UNAVAILABLE", "away")) : Promise.resolve();
    });
    await clock.advance(20_000);
    expect(passes).toBeLessThan(40);
    away = false;
    await clock.advance(5_000);
    expect(logger.lines.map(({ event }) => event)).toEqual(["control.pass_failed", "control.pass_recovered"]);
    stop.abort();
    await looping;
  });
});
