import { describe, expect, it } from "vitest";
import type { Script } from "../adapters/scripted-agent/agent-runtime.ts";
import { gate } from "../adapters/scripted-agent/gate.ts";
import { bodyStore } from "../bodies/body-store.ts";
import type { RunId } from "../core/ids.ts";
import { messageText } from "../core/transcript.ts";
import type { AgentTool } from "../ports/agent-runtime.ts";
import { manualLease } from "../testing/manual-lease.ts";
import { memoryPool, SESSION, TENANT } from "../testing/memory-pool.ts";
import { idempotentCounter } from "../testing/test-tools.ts";
import { until } from "../testing/until.ts";

/** A pool on which run-1 stops before it calls a tool, so that messages can come meanwhile; it answers after it. */
async function stopped(after: Script = () => [{ say: "one answer" }]) {
  const door = gate();
  const contexts: Record<string, string[]> = {};
  const pool = await memoryPool({
    script: (turn, answered) => {
      contexts[turn.runId] ??= turn.messages.map(messageText);
      if (turn.runId === "run-1" && answered === 0) return [{ gate: door }, { call: "mark" }];
      return after(turn, answered);
    },
  });
  const tools = (): AgentTool[] => [idempotentCounter().tool];
  return { pool, door, contexts, tools };
}

const endOf = (run: RunId, how: "steered" | "collected") => ({
  runId: run,
  runSeq: 1,
  body: { type: "final", text: "", stopReason: how, mergedInto: "run-1" },
});

describe("a message steered into a run", () => {
  it("stands behind the tool's result, is answered there, and its own run ends with an empty final", async () => {
    const { pool, door, contexts, tools } = await stopped();
    await pool.worker({ tools });
    const first = await pool.send("first", "run-1");
    await door.reached;
    const second = await pool.send("second", "run-2", { queueMode: "steer" });
    door.open();
    const story = await pool.story(first);
    expect(await pool.story(second)).toMatchObject([endOf(second, "steered")]);
    expect(story.at(-1)?.body).toMatchObject({ type: "final", text: "one answer" });
    const told = story.flatMap(({ body }) => (body.type === "message" ? [body.row] : []));
    const rows = [
      "user: first",
      "assistant: ",
      "toolResult: marks: 1",
      "user: second",
      "assistant: one answer",
    ];
    expect(told.map(({ seq }) => seq)).toEqual(rows.map((_, i) => i + 1));
    expect(told.at(3)).toMatchObject({ runId: first, idempotencyKey: "run-2:user" });
    expect(await pool.transcript()).toEqual(rows);
    // The next run starts from what this worker remembers, without reading.
    await pool.story(await pool.send("third", "run-3"));
    expect(contexts["run-3"]).toEqual(["first", "", "marks: 1", "second", "one answer", "third"]);
    expect(pool.sessions.calls.filter((method) => method === "context")).toEqual([]);
  });

  it("is read from object storage where it is large", async () => {
    const asked: string[] = [];
    const { pool, door, tools } = await stopped((turn) => {
      asked.push(turn.runId);
      return [{ say: "one answer" }];
    });
    await pool.worker({ tools });
    const first = await pool.send("first", "run-1");
    await door.reached;
    const { objects, clock, logger } = pool;
    const content = "long ".repeat(20_000);
    const message = { role: "user", content, timestamp: 1 } as const;
    const body = await bodyStore({ objects: objects.port, clock, logger }).store(TENANT, message);
    expect(body).toHaveProperty("object");
    const second = await pool.send("second", "run-2", { queueMode: "steer", body });
    objects.break("before");
    door.open();
    // The row is stored and its run has ended; the model waits for the text.
    await pool.story(second);
    expect(asked).toEqual([]);
    objects.mend();
    expect((await pool.story(first)).at(-1)?.body).toMatchObject({ text: "one answer" });
  });

  it("is answered by whoever goes on with the run where its worker is lost", async () => {
    const hang = gate();
    const { pool, door, contexts, tools } = await stopped((turn) =>
      turn.attempt === 1 ? [{ gate: hang }] : [{ say: "one answer" }],
    );
    const lease = manualLease();
    await pool.worker({ tools, keepLease: lease.keepLease });
    const first = await pool.send("first", "run-1");
    await door.reached;
    const second = await pool.send("second", "run-2", { queueMode: "steer" });
    door.open();
    await hang.reached;
    const [holder] = await pool.realLedger.workers();
    await pool.realLedger.retireWorker(holder!.worker);
    lease.lose();
    delete contexts["run-1"];
    await pool.worker({ tools });
    expect(await pool.ended(first)).toMatchObject({ attempt: 2, result: { text: "one answer" } });
    expect(contexts["run-1"]).toEqual(["first", "", "marks: 1", "second"]);
    expect(pool.events.filter(({ runId }) => runId === second)).toHaveLength(1);
    expect((await pool.transcript()).filter((row) => row === "user: second")).toHaveLength(1);
  });

  it("joins once where the answer of the checkpoint was lost", async () => {
    const { pool, door, tools } = await stopped();
    await pool.worker({ tools });
    const first = await pool.send("first", "run-1");
    await door.reached;
    const second = await pool.send("second", "run-2", { queueMode: "steer" });
    pool.ledger.break("after", ["checkpoint"], 4);
    door.open();
    await pool.story(second);
    await pool.ended(first);
    expect((await pool.transcript()).filter((row) => row === "user: second")).toHaveLength(1);
  });

  it("has a turn of its own where the run calls no model any more", async () => {
    const door = gate();
    const pool = await memoryPool({
      script: ({ runId }) => (runId === "run-1" ? [{ gate: door }, { say: "one" }] : [{ say: "two" }]),
    });
    await pool.worker();
    await pool.send("first", "run-1");
    await door.reached;
    const second = await pool.send("second", "run-2", { queueMode: "steer" });
    door.open();
    await pool.ended(second);
    const rows = ["user: first", "assistant: one", "user: second", "assistant: two"];
    expect(await pool.transcript()).toEqual(rows);
  });

  it("is not swallowed by a run that a user has aborted", async () => {
    const { pool, door, tools } = await stopped();
    await pool.worker({ tools });
    const first = await pool.send("first", "run-1");
    await door.reached;
    const second = await pool.send("second", "run-2", { queueMode: "steer" });
    await pool.realLedger.abort(TENANT, { runId: first });
    door.open();
    expect(await pool.ended(first)).toMatchObject({ status: "aborted" });
    expect(await pool.ended(second)).toMatchObject({ status: "succeeded", result: { text: "one answer" } });
  });
});

describe("messages collected", () => {
  it("are one turn of the first one; the others end with an empty final when it begins", async () => {
    const { pool, door, tools, contexts } = await stopped();
    await pool.worker({ tools });
    await pool.send("first", "run-1");
    await door.reached;
    const [second, third] = [
      await pool.send("second", "run-2", { queueMode: "collect" }),
      await pool.send("third", "run-3", { queueMode: "collect" }),
    ];
    door.open();
    const together =
      "[Queued messages while agent was busy]\n\n---\nQueued #1\nsecond\n\n---\nQueued #2\nthird";
    expect((await pool.story(second)).at(-1)?.body).toMatchObject({ type: "final", text: "one answer" });
    const end = endOf(third, "collected");
    expect(await pool.story(third)).toMatchObject([{ ...end, body: { ...end.body, mergedInto: second } }]);
    expect(contexts["run-2"]?.at(-1)).toBe(together);
    expect((await pool.transcript()).slice(-2)).toEqual([`user: ${together}`, "assistant: one answer"]);
  });
});

describe("an interrupt", () => {
  it("ends the run with what it has said, as soon as its worker hears of it, and is answered next", async () => {
    const door = gate();
    const pool = await memoryPool({
      script: ({ runId }) => (runId === "run-1" ? [{ say: "half an" }, { gate: door }] : [{ say: "now" }]),
    });
    await pool.worker();
    const first = await pool.send("first", "run-1");
    await door.reached;
    const second = await pool.send("second", "run-2", { queueMode: "interrupt" });
    const [holder] = await pool.realLedger.workers();
    const signal = { type: "abort", tenant: TENANT, sessionKey: SESSION, runId: first } as const;
    await pool.bus.port.signal(holder!.worker, signal);
    expect(await pool.ended(first)).toMatchObject({ status: "aborted", result: { text: "half an" } });
    expect(await pool.ended(second)).toMatchObject({ status: "succeeded", result: { text: "now" } });
    await until(async () => (await pool.transcript()).length === 4);
    expect(await pool.transcript()).toEqual([
      "user: first",
      "assistant: half an",
      "user: second",
      "assistant: now",
    ]);
  });
});
