import { describe, expect, it } from "vitest";
import type { TranscriptMessage } from "../core/transcript.ts";
import { toolCallsOf } from "./next-action.ts";
import { withUniqueCallIds } from "./unique-call-ids.ts";

const calling = (...ids: string[]): TranscriptMessage => ({
  role: "assistant",
  content: ids.map((id) => ({ type: "toolCall", id, name: "tool", arguments: {} })),
  timestamp: 1,
});
const idsOf = (message: TranscriptMessage) => toolCallsOf(message).map(({ id }) => id);

describe("withUniqueCallIds", () => {
  it("leaves a message alone whose ids are new", () => {
    const message = calling("b", "c");
    expect(withUniqueCallIds(message, [calling("a")])).toBe(message);
  });

  it("renames ids that an earlier message, or the same one, has used", () => {
    const ids = idsOf(withUniqueCallIds(calling("call_0", "call_0", "new", ""), [calling("call_0")]));
    expect(new Set(ids).size).toBe(4);
    expect(ids).not.toContain("call_0");
    expect(ids[2]).toBe("new");
    expect(ids.every((id) => /^[A-Za-z0-9_]+$/.test(id))).toBe(true);
  });

  it("gives the same names again for the same messages, so that a repeated step is recognised", () => {
    const again = () => withUniqueCallIds(calling("x", "x"), [calling("x")]);
    expect(again()).toEqual(again());
  });
});
