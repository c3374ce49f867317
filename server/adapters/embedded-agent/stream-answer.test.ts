import type { AssistantMessage, AssistantMessageEvent } from "@openclaw/ai";
import { describe, expect, it } from "vitest";
import { answerText } from "../../agent-loop/answer-text.ts";
import { recordingIO, testModel } from "../../testing/agent-harness.ts";
import { fakeClock } from "../../testing/fake-clock.ts";
import { modelOf } from "./context.ts";
import { stallWatch } from "./stall-watch.ts";
import { streamAnswer } from "./stream-answer.ts";

const message = (fields: Partial<AssistantMessage> = {}): AssistantMessage => ({
  role: "assistant",
  content: [],
  api: "openai-completions",
  provider: "demo",
  model: "demo",
  usage: {
    input: 0,
    output: 0,
    cacheRead: 0,
    cacheWrite: 0,
    totalTokens: 0,
    cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, total: 0 },
  },
  stopReason: "stop",
  timestamp: 1,
  ...fields,
});
const delta = (text: string): AssistantMessageEvent => ({
  type: "text_delta",
  contentIndex: 0,
  delta: text,
  partial: message(),
});

/** Asks a library that gives exactly these events, each when the one before has been taken. */
function ask(events: () => AsyncGenerator<AssistantMessageEvent>, signal = new AbortController().signal) {
  const io = recordingIO();
  const clock = fakeClock();
  const answer = streamAnswer(
    { stream: events, validate: () => ({}) },
    stallWatch(clock, { firstMs: 1_000, idleMs: 500 }),
    {
      model: modelOf(testModel("http://127.0.0.1/v1")),
      context: { messages: [] },
      options: {},
      text: answerText((body) => io.emit(body), null),
      signal,
    },
  );
  return { io, clock, answer };
}

describe("streamAnswer", () => {
  it("hands nothing on after an abort, even when the library goes on", async () => {
    const abort = new AbortController();
    const { promise: aborted, resolve } = Promise.withResolvers<void>();
    let finished = (): void => undefined;
    const wentOn = new Promise<void>((done) => (finished = done));
    const { io, answer } = ask(async function* () {
      yield delta("before");
      await aborted;
      try {
        yield delta("after");
      } finally {
        finished();
      }
    }, abort.signal);
    await io.seen("delta");
    abort.abort();
    expect(await answer).toEqual({ kind: "stopped" });
    resolve();
    await wentOn;
    expect(io.held()).toBe("before");
  });

  it("leaves out tool calls of an answer that was cut off at its length limit", async () => {
    const text = { type: "text" as const, text: "so" };
    const call = { type: "toolCall" as const, id: "a", name: "pay", arguments: { amount: 1 } };
    const done = message({ stopReason: "length", content: [text, call] });
    const { answer } = ask(async function* () {
      yield { type: "done", reason: "length", message: done };
    });
    expect(await answer).toMatchObject({ kind: "message", message: { content: [text] } });
  });

  it("does not keep the library's diagnostics, which may quote requests and stacks", async () => {
    const done = message({ diagnostics: [{ type: "x", timestamp: 1 }] });
    const { answer } = ask(async function* () {
      yield { type: "done", reason: "stop", message: done };
    });
    expect(JSON.stringify(await answer)).not.toContain("diagnostics");
  });

  it("takes a stream without an end for a failure that may pass", async () => {
    const { answer } = ask(async function* () {
      yield delta("half");
    });
    expect(await answer).toMatchObject({ kind: "failure", failure: { retryable: true, unhealthy: true } });
  });

  it("takes a request that the library refuses for one that no retry will help", async () => {
    const { answer } = ask(() => {
      throw new Error("No API provider registered for api: telepathy");
    });
    expect(await answer).toMatchObject({
      kind: "failure",
      failure: {
        kind: "model_rejected",
        retryable: false,
        message: expect.stringContaining("telepathy") as string,
      },
    });
  });

  it("gives up on a library that never answers", async () => {
    // oxlint-disable-next-line require-yield -- it never comes to that
    const { answer, clock } = ask(async function* () {
      await new Promise(() => undefined);
    });
    await clock.advance(2_000);
    expect(await answer).toMatchObject({ kind: "failure", failure: { kind: "model_unavailable" } });
  });
});
