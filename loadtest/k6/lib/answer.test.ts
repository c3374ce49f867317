import { describe, expect, it } from "vitest";
import { parseDirectives } from "../../../server/demo-model/directives.ts";
import { judgeAnswer, marksOf, messageText, NOTHING_STREAMED, withDelta } from "./answer.ts";
import { modelMs } from "./plan.ts";

const SHAPE = { latencyMs: 50, chunks: 5, delayMs: 20, paddingBytes: 500 };
const marks = marksOf("run-1", "session-1");

describe("a message", () => {
  const text = messageText(marks, SHAPE);

  it("tells the demo model how to answer, and what to repeat", () => {
    const { directives, rest } = parseDirectives(text);
    expect(directives).toMatchObject([{ latency: 50, chunks: 5, delay: 20 }]);
    expect(judgeAnswer(`You said: ${rest}`, marks)).toBeNull();
    expect(modelMs(SHAPE)).toBe(130);
  });

  it("is as long as its filling asks for", () => {
    const empty = messageText(marks, { ...SHAPE, paddingBytes: 0 });
    expect(Math.abs(text.length - empty.length - 500)).toBeLessThanOrEqual(2);
  });
});

describe("an answer", () => {
  it("without the message's own mark is wrong", () => {
    expect(judgeAnswer("hello", marks)).toBe("wrong-answer");
    expect(judgeAnswer(marksOf("run-11", "session-1").mark, marks)).toBe("wrong-answer");
  });

  it("with the canary of another session is foreign, whatever else is in it", () => {
    const other = marksOf("run-1", "session-12");
    expect(judgeAnswer(`${marks.mark} ${marks.canary} ${other.canary}`, marks)).toBe("foreign-text");
  });

  it("may repeat its own canary as often as it likes", () => {
    expect(judgeAnswer(`${marks.mark} ${marks.canary} ${marks.canary}`, marks)).toBeNull();
  });
});

describe("pieces", () => {
  it("add up, start anew at a replacement, and remember the highest number", () => {
    const one = withDelta(NOTHING_STREAMED, { deltaText: "ab", runSeq: 3 });
    const two = withDelta(one, { deltaText: "cd", runSeq: 4 });
    expect(two).toEqual({ text: "abcd", lastRunSeq: 4 });
    expect(withDelta(two, { deltaText: "x", replace: true, runSeq: 2 })).toEqual({
      text: "x",
      lastRunSeq: 4,
    });
  });
});
