import { describe, expect, it } from "vitest";
import { gate } from "../adapters/scripted-agent/gate.ts";
import { objectKey } from "../core/object-key.ts";
import { messageText } from "../core/transcript.ts";
import { memoryPool, TENANT, textOf } from "../testing/memory-pool.ts";
import { until } from "../testing/until.ts";

const numbers = (events: readonly { runSeq: number }[]): number[] => events.map((event) => event.runSeq);
const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1);

describe("a worker whose stores are away", () => {
  it("asks Postgres for work while the queue is away, and takes from the queue again when it is back", async () => {
    const pool = await memoryPool();
    pool.queue.break("before");
    await pool.worker();
    await until(() => pool.logger.lines.some(({ event }) => event === "worker.queue_away"));
    const polled = await pool.send("hi", "run-1");
    expect(await pool.ended(polled)).toMatchObject({ status: "succeeded" });
    pool.queue.mend();
    await until(() => pool.logger.lines.some(({ event }) => event === "worker.queue_back"));
    expect(await pool.ended(await pool.send("hi", "run-2"))).toMatchObject({ status: "succeeded" });
    expect(pool.logger.lines.filter(({ event }) => event === "worker.queue_away")).toHaveLength(1);
  });

  it("tells the queue of sessions that ended while it was away, once it is back", async () => {
    const reached = gate();
    const pool = await memoryPool({ script: () => [{ gate: reached }, { say: "ok" }] });
    await pool.worker();
    const run = await pool.send("hi", "run-1");
    await reached.reached;
    pool.queue.break("before");
    reached.open();
    await pool.ended(run);
    expect(await pool.queue.port.depth("shared").catch(() => null)).toBeNull();
    pool.queue.mend();
    await until(async () => (await pool.queue.port.depth("shared")).delivered === 0);
  });

  it("retires an id under which a poll may have claimed more than it was told", async () => {
    const pool = await memoryPool();
    pool.queue.break("before");
    pool.ledger.break("after", ["claimReady"], 1);
    const run = await pool.send("hi", "run-1");
    const worker = await pool.worker();
    const first = worker.workerId;
    // The session is granted to the first id and nobody works on it, until that id is retired.
    expect(await pool.ended(run)).toMatchObject({ status: "succeeded", attempt: 2, failures: 0 });
    expect(worker.workerId).not.toBe(first);
  });

  it("finishes runs while the bus is away, and followers get the whole text afterwards", async () => {
    const [first, second] = [gate(), gate()];
    const pool = await memoryPool({
      script: () => [{ say: "one " }, { gate: first }, { say: "two " }, { gate: second }, { say: "three" }],
    });
    const worker = await pool.worker();
    const run = await pool.send("hi", "run-1");
    await until(() => textOf(pool.events) === "one ");
    pool.bus.break("before", ["publishMany"]);
    first.open();
    await until(() => worker.metrics().publishFailures >= 2);
    second.open();
    expect(await pool.ended(run)).toMatchObject({ status: "succeeded" });
    pool.bus.mend();
    const story = await pool.story(run);
    expect(numbers(story)).toEqual(upTo(story.length));
    expect(story.some(({ body }) => body.type === "replace" && body.text === "one two three")).toBe(true);
    expect(textOf(story)).toBe("one two three");
  });

  it("puts large bodies into objects, and keeps them inline while object storage is away", async () => {
    const big = "x".repeat(100_000);
    const pool = await memoryPool({ script: () => [{ say: big }] });
    await pool.worker();
    await pool.ended(await pool.send("hi", "run-1"));
    expect((await pool.transcript())[1]).toMatch(/^object of 100\d{3} bytes$/);
    pool.objects.break("before");
    await pool.ended(await pool.send("hi", "run-2", { session: "agent:main:other" }));
    expect((await pool.transcript("agent:main:other"))[1]).toBe(`assistant: ${big}`);
  });

  it("reads large bodies back into the context", async () => {
    const pool = await memoryPool({
      script: (turn) => [{ say: messageText(turn.messages[0]!).slice(0, 5) }],
    });
    const bytes = new TextEncoder().encode(
      JSON.stringify({ role: "user", content: "large text", timestamp: 1 }),
    );
    const sha256 = Buffer.from(await crypto.subtle.digest("SHA-256", bytes)).toString("hex");
    await pool.objects.port.put(objectKey(TENANT, sha256), bytes);
    await pool.worker();
    const run = await pool.send("", "run-1", { body: { object: { sha256, bytes: bytes.byteLength } } });
    expect(await pool.ended(run)).toMatchObject({ result: { text: "large" } });
    const lost = await pool.send("", "run-2", {
      session: "agent:main:b",
      body: { object: { sha256: "0".repeat(64), bytes: 9 } },
    });
    expect(await pool.ended(lost)).toMatchObject({
      status: "failed",
      error: { kind: "transcript_unreadable" },
    });
  });
});
