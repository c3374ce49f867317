import { expect, it } from "vitest";
import { clockContract } from "../ports/contract/clock.contract.ts";
import { fakeClock } from "./fake-clock.ts";

clockContract("fake", () => {
  const clock = fakeClock();
  return { clock, pass: (ms) => clock.advance(ms) };
});

it("moves only when told to, and wakes sleepers in the order of their time", async () => {
  const clock = fakeClock(1_000);
  const woken: string[] = [];
  const sleeper = async (name: string, ms: number): Promise<void> => {
    await clock.sleep(ms);
    woken.push(`${name} at ${clock.now()}`);
  };
  void sleeper("late", 30);
  void sleeper("early", 10);
  expect([clock.now(), clock.monotonic(), clock.sleepers()]).toEqual([1_000, 0, 2]);
  await clock.advance(20);
  expect(woken).toEqual(["early at 1010"]);
  await clock.advance(20);
  expect(woken).toEqual(["early at 1010", "late at 1030"]);
  expect([clock.now(), clock.sleepers()]).toEqual([1_040, 0]);
});

it("lets a loop with a pause turn as often as the time allows", async () => {
  const clock = fakeClock();
  let turns = 0;
  const stop = new AbortController();
  const loop = (async () => {
    while (!stop.signal.aborted) {
      await clock.sleep(10, stop.signal);
      turns++;
    }
  })();
  await clock.advance(100);
  expect(turns).toBe(10);
  stop.abort();
  await loop;
  expect(clock.sleepers()).toBe(0);
});
