import { describe, expect, it } from "vitest";
import type { ContentBlock, TranscriptMessage } from "../core/transcript.ts";
import { nextAction } from "./next-action.ts";

const user: TranscriptMessage = { role: "user", content: "hi", timestamp: 1 };
const system: TranscriptMessage = { role: "system", content: "reset", timestamp: 1 };
const call = (id: string): ContentBlock => ({ type: "toolCall", id, name: "tool", arguments: {} });
const assistant = (content: readonly ContentBlock[], stopReason = "stop"): TranscriptMessage => ({
  role: "assistant",
  content,
  stopReason,
  timestamp: 1,
});
const text: ContentBlock = { type: "text", text: "so" };
const result = (toolCallId: string): TranscriptMessage => ({
  role: "toolResult",
  toolCallId,
  toolName: "tool",
  content: [],
  timestamp: 1,
});
const started = (toolCallId: string, idempotent: boolean) => ({ toolCallId, toolName: "tool", idempotent });
const two = assistant([text, call("a"), call("b")], "toolUse");

/** What is next, in one word: `model`, `done`, or the pending calls with how they are treated. */
const rows: readonly [string, readonly TranscriptMessage[], Parameters<typeof nextAction>[1], string][] = [
  ["nothing at all", [], [], "model"],
  ["a user message", [user], [], "model"],
  ["a user message after an answer", [user, assistant([text]), user], [], "model"],
  ["an answer", [user, assistant([text])], [], "done"],
  ["an answer as a plain string", [user, { ...assistant([]), content: "so" }], [], "done"],
  ["an answer behind a system row", [user, assistant([text]), system], [], "done"],
  ["an empty answer", [user, assistant([])], [], "done"],
  ["calls without results", [user, two], [], "a:run b:run"],
  ["a result for the first call", [user, two, result("a")], [], "b:run"],
  ["a result for the second call only", [user, two, result("b")], [], "a:run"],
  ["results for all calls", [user, two, result("a"), result("b")], [], "model"],
  ["a result of another message's call", [user, two, result("x")], [], "a:run b:run"],
  ["a started idempotent call", [user, two], [started("a", true)], "a:run_again b:run"],
  ["a started other call", [user, two], [started("a", false)], "a:outcome_unknown b:run"],
  ["a started call with its result", [user, two, result("a")], [started("a", false)], "b:run"],
  ["the same ids answered in an earlier step", [user, two, result("a"), result("b"), two], [], "a:run b:run"],
  ["an answer that failed", [user, assistant([text], "error")], [], "model"],
  ["an answer that was aborted", [user, assistant([text], "aborted")], [], "model"],
  ["an aborted answer with calls in it", [user, assistant([call("a")], "aborted")], [], "model"],
  ["results without their message", [user, assistant([text]), result("a")], [], "model"],
];

describe("nextAction", () => {
  it.each(rows)("after %s", (_tail, messages, startedTools, expected) => {
    const action = nextAction(messages, startedTools);
    const word =
      action.kind === "tools"
        ? action.calls.map((pending) => `${pending.call.id}:${pending.how}`).join(" ")
        : action.kind;
    expect(word).toBe(expected);
  });
});
