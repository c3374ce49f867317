import { describe, expect, it } from "vitest";
import { fakeClock } from "../../testing/fake-clock.ts";
import { keepAlive, restartDelayMs } from "./keep-alive.ts";
import type { ProcessExit } from "./keep-alive.ts";

/** A kept thing that ends when the test says so. */
function kept(start: () => void = () => {}) {
  const clock = fakeClock();
  const keeping = new AbortController();
  const starts: number[] = [];
  const ends: { crashes: number; delayMs: number; error: unknown }[] = [];
  let end: (exit: ProcessExit) => void = () => {};
  const done = keepAlive({
    clock,
    signal: keeping.signal,
    async start() {
      start();
      starts.push(clock.monotonic());
      return { exited: new Promise<ProcessExit>((resolve) => (end = resolve)) };
    },
    onStarted: () => {},
    onEnded: ({ crashes, delayMs, error }) => void ends.push({ crashes, delayMs, error }),
  });
  const crash = async (): Promise<void> => {
    end({ code: 1, signal: null });
    await clock.advance(0);
  };
  return { clock, keeping, starts, ends, done, crash };
}

describe("keepAlive", () => {
  it("waits 100 ms after the first crash in a row, twice as long after each further one, 5 s at most", () => {
    expect([1, 2, 3, 4, 5, 6, 7, 8, 1_000].map(restartDelayMs)).toEqual([
      100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000,
    ]);
  });

  it("starts what ended again, each time after a longer wait", async () => {
    const { clock, crash, ends, starts } = kept();
    await clock.advance(0);
    await crash();
    await clock.advance(100);
    await crash();
    await clock.advance(200);
    expect(starts).toEqual([0, 100, 300]);
    expect(ends.map(({ crashes }) => crashes)).toEqual([1, 2]);
  });

  it("forgets earlier crashes of what ran for ten seconds", async () => {
    const { clock, crash, ends } = kept();
    await clock.advance(0);
    await crash();
    await clock.advance(100);
    await crash();
    await clock.advance(200);
    await clock.advance(10_000);
    await crash();
    expect(ends.map(({ delayMs }) => delayMs)).toEqual([100, 200, 100]);
  });

  it("counts a start that fails as a crash and keeps its cause", async () => {
    const missing = new Error("no such program");
    let tries = 0;
    const { clock, ends, starts } = kept(() => {
      tries += 1;
      if (tries <= 2) throw missing;
    });
    await clock.advance(300);
    expect(starts).toEqual([300]);
    expect(ends).toEqual([
      { crashes: 1, delayMs: 100, error: missing },
      { crashes: 2, delayMs: 200, error: missing },
    ]);
  });

  it("ends at once when it is told to, without another start", async () => {
    const { clock, crash, done, keeping, starts } = kept();
    await clock.advance(0);
    await crash();
    keeping.abort();
    await done;
    await clock.advance(60_000);
    expect(starts).toEqual([0]);
  });

  it("leaves alone what runs when it is told to end", async () => {
    const { clock, done, ends, keeping } = kept();
    await clock.advance(0);
    keeping.abort();
    await done;
    expect(ends).toEqual([]);
  });
});
