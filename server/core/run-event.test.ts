import { describe, expect, it } from "vitest";
import { seededRandom } from "../testing/seeded-random.ts";
import {
  ATTEMPT_STRIDE,
  attemptOfRunSeq,
  isTerminalEvent,
  placeOfRunSeq,
  type RunEventBody,
  runSeqOf,
} from "./run-event.ts";

describe("runSeq", () => {
  it("counts from 1 within the first attempt", () => {
    expect([runSeqOf(1, 1), runSeqOf(1, 2), runSeqOf(1, 3)]).toEqual([1, 2, 3]);
  });

  it("only grows, whatever attempt it is and however much the one before it said", () => {
    expect(runSeqOf(2, 1)).toBe(ATTEMPT_STRIDE + 1);
    expect(runSeqOf(2, 1)).toBeGreaterThan(runSeqOf(1, ATTEMPT_STRIDE));
  });

  it("tells attempt and place of an event", () => {
    const random = seededRandom(1);
    const some = Array.from({ length: 200 }, () => 1 + Math.floor(random.float() * ATTEMPT_STRIDE));
    for (const attempt of [1, 2, 3, 1_000]) {
      for (const n of [1, 2, ATTEMPT_STRIDE - 1, ATTEMPT_STRIDE, ...some]) {
        const runSeq = runSeqOf(attempt, n);
        expect([attemptOfRunSeq(runSeq), placeOfRunSeq(runSeq)]).toEqual([attempt, n]);
      }
    }
  });

  it("stays a safe integer for any number of attempts that a run can have", () => {
    expect(Number.isSafeInteger(runSeqOf(2 ** 32, ATTEMPT_STRIDE))).toBe(true);
  });

  it("numbers the end of a run that was never claimed as if it had begun", () => {
    expect(runSeqOf(0, 1)).toBe(1);
  });
});

describe("isTerminalEvent", () => {
  const ends: RunEventBody[] = [
    { type: "final", text: "", stopReason: "stop" },
    { type: "aborted", text: "", reason: "rpc" },
    { type: "error", error: { kind: "timeout", message: "" } },
  ];
  const others: RunEventBody[] = [
    { type: "started", text: "" },
    { type: "replace", text: "" },
    { type: "delta", text: "a" },
    { type: "thinking", text: "a" },
    { type: "tool", phase: "result", toolCallId: "c", name: "read" },
    { type: "usage", usage: { input: 1, output: 1 } },
  ];

  it("is true of the three ends alone", () => {
    expect(ends.map(isTerminalEvent)).toEqual([true, true, true]);
    expect(others.map(isTerminalEvent)).toEqual(others.map(() => false));
  });
});
