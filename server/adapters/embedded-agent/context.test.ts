import { describe, expect, it } from "vitest";
import { tenantId } from "../../core/ids.ts";
import type { TranscriptMessage } from "../../core/transcript.ts";
import { testModel, turnOf } from "../../testing/agent-harness.ts";
import { cacheKeyOf, contextMessages, contextOf, samplingOf, thinkingOf } from "./context.ts";

const user: TranscriptMessage = { role: "user", content: "hi", timestamp: 1 };
const answer = (text: string, fields: Partial<TranscriptMessage> = {}): TranscriptMessage => ({
  role: "assistant",
  content: [{ type: "text", text }],
  timestamp: 1,
  ...fields,
});
const turn = turnOf("hi", { models: [] });

describe("contextMessages", () => {
  it("hands complete messages on as they are", () => {
    const complete = answer("so", { api: "x", usage: { input: 1, output: 1 } });
    expect(contextMessages([user, complete])[1]).toBe(complete);
  });

  it("leaves out our own rows", () => {
    expect(contextMessages([{ role: "system", content: "reset", timestamp: 1 }, user])).toEqual([user]);
  });

  it("leaves out commands and what the gateway answered to them", () => {
    const unseen = { excludeFromContext: true };
    const command: TranscriptMessage = { role: "user", content: "/status", timestamp: 1, ...unseen };
    expect(contextMessages([command, answer("fine", unseen), user])).toEqual([user]);
  });

  it("keeps what the user saw of a stopped answer, without its tool calls", () => {
    const stopped = answer("half", {
      stopReason: "aborted",
      content: [
        { type: "text", text: "half" },
        { type: "toolCall", id: "a", name: "pay", arguments: {} },
      ],
    });
    expect(contextMessages([user, stopped, user])).toMatchObject([
      user,
      { role: "assistant", stopReason: "stop", content: [{ type: "text", text: "half" }] },
      user,
    ]);
  });

  it("drops the remains of the answer that a redriven run is about to write again", () => {
    const failed = answer("half", { stopReason: "error" });
    expect(contextMessages([user, failed])).toEqual([user]);
  });

  it("completes rows that came from elsewhere", () => {
    const [, injected] = contextMessages([user, { role: "assistant", content: "note", timestamp: 1 }]);
    expect(injected).toMatchObject({
      content: [{ type: "text", text: "note" }],
      api: "openclaw-ha",
      usage: { totalTokens: 0, cost: { total: 0 } },
    });
  });

  it("makes blocks of a tool result that is a plain string", () => {
    const result: TranscriptMessage = { role: "toolResult", content: "42", toolCallId: "a", timestamp: 1 };
    expect(contextMessages([user, result])[1]).toMatchObject({ content: [{ type: "text", text: "42" }] });
  });
});

describe("contextOf", () => {
  it("names no tools and no system prompt where there are none", () => {
    const agent = { ...turn.agent, systemPrompt: "" };
    expect(contextOf({ ...turn, agent }, [user])).toEqual({ messages: [user] });
  });
});

describe("thinkingOf", () => {
  const model = testModel("http://127.0.0.1/v1", { reasoning: true });
  it.each([
    ["high", null, true, "high"],
    [null, "low", true, "low"],
    ["off", "low", true, undefined],
    ["adaptive", null, true, undefined],
    ["high", null, false, undefined],
    [null, null, true, undefined],
  ])("turn %s, agent %s, reasoning %s: %s", (thinking, thinkingLevel, reasoning, level) => {
    const agent = { ...turn.agent, thinkingLevel };
    expect(thinkingOf({ ...turn, thinking, agent }, { ...model, reasoning })).toBe(level);
  });
});

describe("cacheKeyOf", () => {
  it("is one per conversation, and tells nobody whose it is", () => {
    const key = cacheKeyOf(turn);
    expect(cacheKeyOf({ ...turn, attempt: 2 })).toBe(key);
    expect(cacheKeyOf({ ...turn, tenant: tenantId("other") })).not.toBe(key);
    expect(key).toMatch(/^[0-9a-f]{32}$/);
  });
});

describe("samplingOf", () => {
  it("asks for what the run asked for and for nothing else", () => {
    expect(samplingOf(turn)).toEqual({});
    const sampling = { temperature: 0, stop: ["END"], responseFormat: { type: "json_object" } };
    expect(samplingOf({ ...turn, sampling })).toEqual(sampling);
  });
});
