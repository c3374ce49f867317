import { describe, expect, it } from "vitest";
import type { Clock } from "../clock.ts";

export interface ClockFixture {
  readonly clock: Clock;
  /** Lets so much of the clock's time pass, and whoever it wakes have their turn. */
  readonly pass: (ms: number) => Promise<void>;
}

const LONG_MS = 3_600_000;

/** What every Clock promises, however its time passes. */
export function clockContract(adapter: string, open: () => ClockFixture): void {
  describe(`Clock: ${adapter}`, () => {
    it("moves both of its times on by what has passed", async () => {
      const { clock, pass } = open();
      const before = { now: clock.now(), monotonic: clock.monotonic() };
      await pass(30);
      // Timers may ring a fraction of a millisecond early, and the wall clock is read in whole ones.
      expect(clock.now() - before.now).toBeGreaterThanOrEqual(28);
      expect(clock.monotonic() - before.monotonic).toBeGreaterThanOrEqual(29);
    });

    it("tells the wall clock's time in epoch milliseconds", () => {
      expect(open().clock.now()).toBeGreaterThan(Date.UTC(2020, 0, 1));
    });

    it("wakes a sleeper when its time has passed, and not before", async () => {
      const { clock, pass } = open();
      const startedAt = clock.monotonic();
      let sleptMs: number | null = null;
      void clock.sleep(60).then(() => (sleptMs = clock.monotonic() - startedAt));
      await pass(5);
      expect(sleptMs).toBeNull();
      await pass(120);
      expect(sleptMs).toBeGreaterThanOrEqual(59);
    });

    it("wakes sleepers in the order of their time", async () => {
      const { clock, pass } = open();
      const woken: string[] = [];
      void clock.sleep(60).then(() => woken.push("late"));
      void clock.sleep(10).then(() => woken.push("early"));
      await pass(120);
      expect(woken).toEqual(["early", "late"]);
    });

    it.each([0, -5])("does not wait for %s ms", async (ms) => {
      const { clock, pass } = open();
      let woken = false;
      void clock.sleep(ms).then(() => (woken = true));
      await pass(5);
      expect(woken).toBe(true);
    });

    it("ends a sleep without an error as soon as its signal aborts, and does not begin one after that", async () => {
      const { clock } = open();
      const controller = new AbortController();
      const sleeping = clock.sleep(LONG_MS, controller.signal);
      controller.abort(new Error("enough"));
      await expect(sleeping).resolves.toBeUndefined();
      await expect(clock.sleep(LONG_MS, controller.signal)).resolves.toBeUndefined();
    });

    it("leaves nothing on a signal whose sleeps have ended", async () => {
      const { clock, pass } = open();
      const { signal } = new AbortController();
      let listeners = 0;
      const add = signal.addEventListener.bind(signal);
      const remove = signal.removeEventListener.bind(signal);
      signal.addEventListener = (...args: Parameters<typeof add>) => (listeners++, add(...args));
      signal.removeEventListener = (...args: Parameters<typeof remove>) => (listeners--, remove(...args));
      const sleeping = clock.sleep(5, signal);
      await pass(30);
      await sleeping;
      expect(listeners).toBe(0);
    });
  });
}
