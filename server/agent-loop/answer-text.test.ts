import { describe, expect, it } from "vitest";
import { recordingIO } from "../testing/agent-harness.ts";
import { answerText } from "./answer-text.ts";

const open = (shownBefore: string | null) => {
  const io = recordingIO({ heldBefore: shownBefore ?? "" });
  return {
    io,
    text: answerText((body) => io.emit(body), shownBefore),
    types: () => io.events().map((e) => e.type),
  };
};

describe("answerText", () => {
  it("sends nothing but deltas for the first message of a first attempt", () => {
    const { io, text, types } = open(null);
    text.begin();
    text.delta("a");
    text.delta("b");
    text.settle("ab");
    expect(types()).toEqual(["delta", "delta"]);
    expect(io.held()).toBe("ab");
  });

  it("sets the text back with the first delta of the next message, and not before", () => {
    const { io, text, types } = open(null);
    text.begin();
    text.delta("old");
    text.begin();
    expect(io.held()).toBe("old");
    expect(text.current()).toBe("");
    text.delta("new");
    expect(io.held()).toBe("new");
    expect(types()).toEqual(["delta", "replace", "delta"]);
  });

  it("keeps what a failed try wrote until the next try writes something", () => {
    const { io, text } = open(null);
    text.begin();
    text.delta("half");
    text.retry();
    expect(text.current()).toBe("half");
    text.delta("whole");
    expect(text.current()).toBe("whole");
    expect(io.held()).toBe("whole");
  });

  it("replaces what an earlier attempt may have shown, even when it thinks that this was nothing", () => {
    const { io, text, types } = open("");
    text.begin();
    text.delta("a");
    expect(types()).toEqual(["replace", "delta"]);
    expect(io.held()).toBe("a");
    const silent = open("");
    silent.text.settle("");
    expect(silent.types()).toEqual(["replace"]);
  });

  it("corrects followers where the final text is another one", () => {
    const { io, text } = open(null);
    text.begin();
    text.delta("teh");
    text.settle("the");
    expect(io.held()).toBe("the");
  });
});
