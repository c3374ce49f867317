import type { Clock } from "../ports/clock.ts";

/** A clock that moves only when it is told to. */
export interface FakeClock extends Clock {
  /**
   * Moves on and wakes the sleepers that are due, in the order of their time; what they do before they sleep again
   * has happened when the promise resolves, so that a loop with a pause turns as often as the time allows.
   */
  advance(ms: number): Promise<void>;
  /** Sleepers that wait now: what a test checks before it moves the clock. */
  sleepers(): number;
}

interface Sleeper {
  readonly dueAt: number;
  readonly wake: () => void;
}

/** @param startMs wall clock at the start, epoch milliseconds; the monotonic clock starts at 0 */
export function fakeClock(startMs = Date.UTC(2026, 0, 1)): FakeClock {
  let elapsed = 0;
  let sleepers: Sleeper[] = [];

  /** Sleeping again takes an unknown number of microtasks; one turn of the event loop lets all of them pass. */
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  return {
    now: () => startMs + elapsed,
    monotonic: () => elapsed,
    sleep(ms, signal) {
      if (signal?.aborted === true) return Promise.resolve();
      return new Promise((resolve) => {
        const wake = (): void => {
          sleepers = sleepers.filter((other) => other !== sleeper);
          signal?.removeEventListener("abort", wake);
          resolve();
        };
        const sleeper: Sleeper = { dueAt: elapsed + Math.max(0, ms), wake };
        sleepers.push(sleeper);
        signal?.addEventListener("abort", wake, { once: true });
      });
    },
    async advance(ms) {
      const target = elapsed + ms;
      await settle();
      for (;;) {
        const due = sleepers.filter(({ dueAt }) => dueAt <= target).sort((a, b) => a.dueAt - b.dueAt)[0];
        if (due === undefined) break;
        elapsed = Math.max(elapsed, due.dueAt);
        due.wake();
        await settle();
      }
      elapsed = target;
    },
    sleepers: () => sleepers.length,
  };
}
