import { describe, expect, it } from "vitest";
import { fakeClock } from "../../testing/fake-clock.ts";
import { stallWatch } from "./stall-watch.ts";

const open = () => {
  const clock = fakeClock();
  const stalled: string[] = [];
  const watch = stallWatch(clock, { firstMs: 1_000, idleMs: 400 });
  return { clock, stalled, start: (name: string) => watch.watch(() => void stalled.push(name)) };
};

describe("stallWatch", () => {
  it("reports a call that never answers, once, after its first deadline", async () => {
    const { clock, stalled, start } = open();
    start("mute");
    await clock.advance(1_000);
    expect(stalled).toEqual([]);
    await clock.advance(250);
    expect(stalled).toEqual(["mute"]);
    await clock.advance(10_000);
    expect(stalled).toEqual(["mute"]);
  });

  it("gives each piece of an answer the idle deadline anew", async () => {
    const { clock, stalled, start } = open();
    const call = start("slow");
    for (let i = 0; i < 10; i++) {
      await clock.advance(350);
      call.touch();
    }
    expect(stalled).toEqual([]);
    await clock.advance(600);
    expect(stalled).toEqual(["slow"]);
  });

  it("forgets calls that have ended, and sleeps only while there are any", async () => {
    const { clock, stalled, start } = open();
    start("first").end();
    const second = start("second");
    expect(clock.sleepers()).toBe(1);
    second.end();
    await clock.advance(10_000);
    expect(stalled).toEqual([]);
    expect(clock.sleepers()).toBe(0);
    start("third");
    await clock.advance(2_000);
    expect(stalled).toEqual(["third"]);
  });
});
