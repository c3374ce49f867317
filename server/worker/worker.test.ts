import { describe, expect, it } from "vitest";
import { gate } from "../adapters/scripted-agent/gate.ts";
import { messageText } from "../core/transcript.ts";
import type { AgentRuntime } from "../ports/agent-runtime.ts";
import { memoryPool, SESSION, TENANT, textOf } from "../testing/memory-pool.ts";
import { until } from "../testing/until.ts";

const numbers = (events: readonly { runSeq: number }[]): number[] => events.map((event) => event.runSeq);
const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1);

describe("a worker", () => {
  it("carries one message from the queue to its final event", async () => {
    const pool = await memoryPool({ script: () => [{ say: "hello " }, { say: "you" }] });
    await pool.worker();
    const run = await pool.send("hi", "run-1");
    const story = await pool.story(run);
    expect(story.map(({ body }) => body.type)).toEqual(["started", "message", "delta", "message", "final"]);
    expect(numbers(story)).toEqual(upTo(story.length));
    expect(textOf(story)).toBe("hello you");
    expect(await pool.ended(run)).toMatchObject({
      status: "succeeded",
      attempt: 1,
      result: { text: "hello you", stopReason: "stop" },
    });
    expect(await pool.transcript()).toEqual(["user: hi", "assistant: hello you"]);
    await until(async () => (await pool.queue.port.depth("shared")).delivered === 0);
  });

  it("tells of the end only after it is durable", async () => {
    const pool = await memoryPool();
    const order: string[] = [];
    await pool.bus.port.subscribe(TENANT, {
      onEvents: (events) => {
        if (events.some(({ body }) => body.type === "final")) order.push("final");
      },
      onNotice: () => {},
      onGap: () => {},
    });
    const finish = pool.realLedger.finish.bind(pool.realLedger);
    const ledger = {
      ...pool.realLedger,
      finish: async (batch: Parameters<typeof finish>[0]) => {
        const answers = await finish(batch);
        order.push("committed");
        return answers;
      },
    };
    await pool.worker({ ledger });
    await pool.story(await pool.send("hi", "run-1"));
    expect(order).toEqual(["committed", "final"]);
  });

  it("keeps the context of a busy session in memory from one run to the next", async () => {
    const held = gate();
    const pool = await memoryPool({
      script: (turn) => (turn.runId === "run-1" ? [{ gate: held }, { say: "one" }] : [{ say: "more" }]),
    });
    await pool.worker();
    await pool.send("first", "run-1");
    await held.reached;
    const last = [await pool.send("second", "run-2"), await pool.send("third", "run-3")].at(-1)!;
    held.open();
    await pool.ended(last);
    expect(pool.sessions.calls.filter((method) => method === "context")).toEqual([]);
    expect(await pool.transcript()).toHaveLength(6);
  });

  it("runs 200 messages of one session over two workers in order, never two at once", async () => {
    let underWay = 0;
    let most = 0;
    const started: string[] = [];
    const runtime: AgentRuntime = {
      async run(turn) {
        most = Math.max(most, ++underWay);
        started.push(turn.runId);
        await new Promise((resolve) => setImmediate(resolve));
        underWay--;
        return {
          status: "succeeded",
          result: { text: "ok", stopReason: "stop" },
          error: null,
          steps: [],
          messages: [],
        };
      },
    };
    const pool = await memoryPool();
    await pool.worker({ runtime });
    await pool.worker({ runtime });
    const sent: string[] = [];
    for (let i = 0; i < 200; i++) sent.push(await pool.send(`message ${i}`, `run-${i}`));
    await pool.ended(sent.at(-1) as never);
    expect(started).toEqual(sent);
    expect(most).toBe(1);
  });

  it("gives the model the whole context, read once and then from the cache", async () => {
    const contexts: number[] = [];
    const pool = await memoryPool({
      script: (turn) => {
        contexts.push(turn.messages.length);
        return [{ say: "ok" }];
      },
    });
    await pool.worker();
    for (let i = 0; i < 3; i++) await pool.ended(await pool.send(`message ${i}`, `run-${i}`));
    expect(contexts).toEqual([1, 3, 5]);
    expect(pool.sessions.calls).not.toContain("context");
  });

  it("reads what it does not know: a row that somebody put in between", async () => {
    const contexts: string[][] = [];
    const pool = await memoryPool({
      script: (turn) => {
        contexts.push(turn.messages.map(messageText));
        return [{ say: "ok" }];
      },
    });
    await pool.worker();
    await pool.ended(await pool.send("one", "run-1"));
    await pool.sessions.port.append(TENANT, SESSION, {
      messageId: "injected",
      body: { inline: { role: "assistant", content: "by the way", timestamp: 1 } },
    });
    await pool.ended(await pool.send("two", "run-2"));
    expect(contexts[1]).toHaveLength(4);
    expect(contexts[1]?.[2]).toBe("by the way");
  });

  it("does not take for the whole context what was interrupted while it ran", async () => {
    const contexts: string[][] = [];
    const reached = gate();
    const pool = await memoryPool({
      script: (turn) => {
        contexts.push(turn.messages.map(messageText));
        return [{ gate: reached }, { say: "ok" }];
      },
    });
    await pool.worker();
    const first = await pool.send("one", "run-1");
    await reached.reached;
    await pool.sessions.port.append(TENANT, SESSION, {
      messageId: "injected",
      body: { inline: { role: "assistant", content: "by the way", timestamp: 1 } },
    });
    reached.open();
    await pool.ended(first);
    await pool.ended(await pool.send("two", "run-2"));
    expect(contexts[1]).toEqual(["one", "by the way", "ok", "two"]);
  });
});
