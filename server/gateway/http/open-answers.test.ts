import { describe, expect, it, vi } from "vitest";
import { HAError } from "../../core/errors.ts";
import { fakeClock } from "../../testing/fake-clock.ts";
import { OpenAnswers } from "./open-answers.ts";

function setup() {
  const answers = new OpenAnswers();
  const clock = fakeClock();
  const open = () => {
    const answer = { tokenId: "00", cut: vi.fn(), tick: vi.fn(), abandon: vi.fn() };
    return { answer, done: answers.add(answer) };
  };
  return { answers, clock, open };
}

const RESTARTING = new HAError("DRAINING", "restarting");

describe("requests that wait while the gateway drains", () => {
  it("are waited for, and not cut when they end in time", async () => {
    const { answers, clock, open } = setup();
    const { answer, done } = open();
    let drained = false;
    const draining = answers.drain(clock, 5_000, RESTARTING).then(() => (drained = true));
    await clock.advance(4_000);
    expect(drained).toBe(false);
    done();
    await clock.advance(100);
    await draining;
    expect(answer.cut).not.toHaveBeenCalled();
  });

  it("are cut when the time is over", async () => {
    const { answers, clock, open } = setup();
    const { answer } = open();
    const draining = answers.drain(clock, 5_000, RESTARTING);
    await clock.advance(5_000);
    await draining;
    expect(answer.cut).toHaveBeenCalledWith(RESTARTING);
  });
});
