import { describe, expect, it } from "vitest";
import { replayFrom } from "./event-history.ts";
import type { AgentId, RunId, SessionKey, TenantId } from "./ids.ts";
import { type RunEvent, type RunEventBody, runSeqOf } from "./run-event.ts";

const event = (runSeq: number, type: "started" | "delta" | "replace" | "final" = "delta"): RunEvent => {
  const body: RunEventBody =
    type === "final" ? { type, text: "x", stopReason: "stop" } : { type, text: String(runSeq) };
  return {
    tenant: "acme" as TenantId,
    sessionKey: "agent:main:main" as SessionKey,
    agentId: "main" as AgentId,
    runId: "run" as RunId,
    token: 1,
    runSeq,
    at: 0,
    body,
  };
};
const seqs = (kept: RunEvent[], after: number): number[] | null =>
  replayFrom(kept, after)?.map(({ runSeq }) => runSeq) ?? null;

describe("replayFrom", () => {
  const whole = [event(1, "started"), event(2), event(3), event(4)];

  it("answers what is above the given number where nothing is missing", () => {
    expect(seqs(whole, 0)).toEqual([1, 2, 3, 4]);
    expect(seqs(whole, 2)).toEqual([3, 4]);
    expect(seqs(whole.slice(2), 2)).toEqual([3, 4]);
  });

  it("answers nothing missed to who has everything, and null to who has more than is known", () => {
    expect(seqs(whole, 4)).toEqual([]);
    expect(seqs(whole, 5)).toBeNull();
    expect(seqs([], 0)).toBeNull();
  });

  it("answers null where the beginning is gone and nothing kept carries the whole text", () => {
    expect(seqs([event(3), event(4)], 1)).toBeNull();
  });

  it("begins with the first whole text after the last hole", () => {
    const kept = [
      event(1, "started"),
      event(4, "replace"),
      event(5),
      event(7),
      event(8, "replace"),
      event(9),
    ];
    expect(seqs(kept, 0)).toEqual([8, 9]);
    expect(seqs([event(3), event(4, "final")], 1)).toEqual([4]);
  });

  it("lets an attempt end anywhere, because the next one begins with the whole text", () => {
    const second = [event(runSeqOf(2, 1), "started"), event(runSeqOf(2, 2))];
    expect(seqs([...whole, ...second], 2)).toEqual([3, 4, ...second.map(({ runSeq }) => runSeq)]);
    expect(seqs([...whole, ...second], 900)).toEqual(second.map(({ runSeq }) => runSeq));
    expect(seqs(second, 3)).toEqual(second.map(({ runSeq }) => runSeq));
    expect(seqs(second.slice(1), 3)).toBeNull();
  });
});
