import { describe, expect, it } from "vitest";
import { gate } from "../adapters/scripted-agent/gate.ts";
import { sessionKey } from "../core/ids.ts";
import type { AgentRuntime } from "../ports/agent-runtime.ts";
import { memoryPool, SESSION, TENANT } from "../testing/memory-pool.ts";
import { until } from "../testing/until.ts";

describe("a run that is stopped", () => {
  it("ends at once on a signal, keeping what was said", async () => {
    const reached = gate();
    const pool = await memoryPool({
      script: () => [{ say: "half an ans" }, { gate: reached }, { say: "wer" }],
    });
    const worker = await pool.worker();
    const run = await pool.send("hi", "run-1");
    await reached.reached;
    const [answer] = await pool.realLedger.abort(TENANT, { runId: run });
    expect(answer?.kind).toBe("requested");
    await pool.bus.port.signal(worker.workerId!, {
      type: "abort",
      tenant: TENANT,
      sessionKey: SESSION,
      runId: run,
    });
    const story = await pool.story(run);
    expect(story.at(-1)?.body).toMatchObject({ type: "aborted", text: "half an ans" });
    expect(await pool.ended(run)).toMatchObject({ status: "aborted", result: { text: "half an ans" } });
    expect(await pool.transcript()).toEqual(["user: hi", "assistant: half an ans"]);
  });

  it("ends at its next checkpoint where the signal is lost", async () => {
    const reached = gate();
    const pool = await memoryPool({
      script: () => [{ gate: reached }, { checkpoint: true }, { say: "never" }],
    });
    await pool.worker();
    const run = await pool.send("hi", "run-1");
    await reached.reached;
    await pool.realLedger.abort(TENANT, { runId: run });
    reached.open();
    expect(await pool.ended(run)).toMatchObject({ status: "aborted" });
  });

  it("is given up when its agent does not end, and keeps its partial text", async () => {
    const pool = await memoryPool();
    const started = Promise.withResolvers<void>();
    const stuck: AgentRuntime = {
      run: (_turn, io) => {
        io.emit({ type: "delta", text: "before it hung" });
        started.resolve();
        return new Promise(() => {});
      },
    };
    const worker = await pool.worker({ runtime: stuck });
    const run = await pool.send("hi", "run-1");
    await started.promise;
    await pool.bus.port.signal(worker.workerId!, {
      type: "abort",
      tenant: TENANT,
      sessionKey: SESSION,
      runId: run,
    });
    expect(await pool.ended(run)).toMatchObject({ status: "aborted", result: { text: "before it hung" } });
    expect(await pool.transcript()).toEqual(["user: hi", "assistant: before it hung"]);
  });

  it("times out at its own limit", async () => {
    const never = gate();
    const pool = await memoryPool({ script: () => [{ say: "slow" }, { gate: never }] });
    await pool.worker();
    const run = await pool.send("hi", "run-1", { timeoutMs: 20 });
    expect(await pool.ended(run)).toMatchObject({ status: "timed_out", error: { kind: "timeout" } });
    expect((await pool.story(run)).at(-1)?.body).toMatchObject({
      type: "aborted",
      reason: "timeout",
      text: "slow",
    });
  });

  it("fails clearly where agent or model are not configured", async () => {
    const pool = await memoryPool();
    await pool.worker();
    const run = await pool.send("hi", "run-1", { session: "agent:ghost:main", agent: "ghost" });
    expect(await pool.ended(run)).toMatchObject({ status: "failed", error: { kind: "unknown_agent" } });
    expect((await pool.story(run)).at(-1)?.body).toMatchObject({
      type: "error",
      error: { kind: "unknown_agent" },
    });
    await pool.sessions.port.create(TENANT, {
      key: sessionKey("agent:main:m"),
      agentId: "main" as never,
      sessionId: "s",
      createdVia: "test",
      model: "demo/three",
    });
    const model = await pool.send("hi", "run-2", { session: "agent:main:m" });
    expect(await pool.ended(model)).toMatchObject({ status: "failed", error: { kind: "unknown_model" } });
  });
});

describe("a run that fails", () => {
  it("leaves in the history what failed, which no model reads, unless a part of its answer stands there", async () => {
    const pool = await memoryPool({
      script: (turn) => {
        const fail = { kind: "model_rejected", message: "no such thing" };
        return turn.messages.at(-1)?.content === "hi" ? [{ fail }] : [{ say: "half" }, { fail }];
      },
    });
    await pool.worker();
    const run = await pool.send("hi", "run-1");
    const ended = await pool.ended(run);
    expect(ended).toMatchObject({ status: "failed" });
    const text = `⚠️ ${ended.error?.message}`;
    expect(await pool.transcript()).toEqual(["user: hi", `assistant: ${text}`]);
    const { rows } = await pool.sessions.port.history(TENANT, sessionKey(SESSION), { limit: 9 });
    expect(rows.at(-1)).toMatchObject({
      runId: "run-1",
      idempotencyKey: "run-1:terminal-error",
      body: { inline: { stopReason: "error", excludeFromContext: true, usage: { totalTokens: 0 } } },
    });
    // Told as a row before the end is told.
    expect((await pool.story(run)).slice(-2).map(({ body }) => body.type)).toEqual(["message", "error"]);
    await pool.ended(await pool.send("more", "run-2"));
    expect((await pool.transcript()).slice(2)).toEqual(["user: more", "assistant: half"]);
  });
});

describe("a worker that drains", () => {
  it("lets runs end within the grace and leaves the rest of their sessions to others", async () => {
    const reached = gate();
    const pool = await memoryPool({ script: () => [{ gate: reached }, { say: "ok" }] });
    const first = await pool.worker();
    const running = await pool.send("one", "run-1");
    const queued = await pool.send("two", "run-2");
    await reached.reached;
    const drained = first.drain();
    await pool.worker();
    reached.open();
    await drained;
    expect(await pool.ended(running)).toMatchObject({ status: "succeeded", attempt: 1 });
    expect(await pool.ended(queued)).toMatchObject({ status: "succeeded", attempt: 1 });
    expect((await pool.realLedger.workers()).map(({ instance }) => instance)).toEqual(["worker-2"]);
  });

  it("does not begin the run that the ledger hands it while it begins to drain", async () => {
    const pool = await memoryPool();
    const finish = pool.realLedger.finish.bind(pool.realLedger);
    let drained: Promise<void> | null = null;
    const ledger = {
      ...pool.realLedger,
      finish: (batch: Parameters<typeof finish>[0]) => {
        drained ??= first.drain(); // the request on its way still asks for the next run
        return finish(batch);
      },
    };
    const reached = gate();
    const runs: string[] = [];
    const runtime: AgentRuntime = {
      async run(turn, _io, signal) {
        runs.push(turn.runId);
        await reached.pass(signal);
        const result = { text: "ok", stopReason: "stop" };
        return { status: "succeeded", result, error: null, steps: [], messages: [] };
      },
    };
    const first = await pool.worker({ ledger, runtime });
    await pool.send("one", "run-1");
    const second = await pool.send("two", "run-2");
    await reached.reached;
    reached.open();
    await until(() => drained !== null);
    await first.drain();
    expect(runs).toEqual(["run-1"]);
    await pool.worker();
    expect(await pool.ended(second)).toMatchObject({ status: "succeeded", failures: 0 });
  });

  it("hands runs over that do not end in time, and they count no failure", async () => {
    const reached = gate();
    const pool = await memoryPool({
      script: (turn) => (turn.attempt === 1 ? [{ say: "half" }, { gate: reached }] : [{ say: "whole" }]),
    });
    const first = await pool.worker({ drainGraceMs: 0 });
    const run = await pool.send("hi", "run-1");
    await reached.reached;
    await pool.worker();
    await first.drain();
    expect(await pool.ended(run)).toMatchObject({
      status: "succeeded",
      attempt: 2,
      failures: 0,
      result: { text: "whole" },
    });
    expect(first.metrics().released).toBe(1);
    expect(pool.events.filter((event) => event.body.type === "aborted")).toEqual([]);
    expect(await pool.queue.port.workers("shared")).toHaveLength(1);
  });

  it("registers as soon as the ledger is there", async () => {
    const pool = await memoryPool();
    pool.ledger.break("before", ["registerWorker"]);
    const worker = await pool.start();
    await until(() => pool.logger.lines.some(({ event }) => event === "worker.cannot_register"));
    expect(worker.workerId).toBeNull();
    pool.ledger.mend();
    await worker.registered();
    expect(worker.workerId).not.toBeNull();
  });

  it("ends also when it could never register", async () => {
    const pool = await memoryPool();
    pool.ledger.break("before", ["registerWorker"]);
    const worker = await pool.start();
    await until(() => pool.logger.lines.some(({ event }) => event === "worker.cannot_register"));
    await worker.drain();
    await worker.registered();
    expect(await pool.realLedger.workers()).toEqual([]);
  });
});
