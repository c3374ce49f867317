import { describe, expect, it } from "vitest";
import { gate } from "../adapters/scripted-agent/gate.ts";
import { HAError } from "../core/errors.ts";
import { attemptOfRunSeq, placeOfRunSeq } from "../core/run-event.ts";
import { messageText } from "../core/transcript.ts";
import type { AgentRuntime, AgentTool } from "../ports/agent-runtime.ts";
import { manualLease } from "../testing/manual-lease.ts";
import { memoryPool, SESSION, TENANT, textOf } from "../testing/memory-pool.ts";
import { until } from "../testing/until.ts";

const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1);

describe("a worker that fails", () => {
  it("leaves a run to another one, which resumes at the checkpoint with the text as it stands", async () => {
    const reached = gate();
    const executed: string[] = [];
    const pool = await memoryPool({
      script: (turn, answered) => {
        if (answered === 0) return [{ say: "let me look" }, { call: "look", id: "call-1" }];
        return turn.attempt === 1 ? [{ say: "half an ans" }, { gate: reached }] : [{ say: "the answer" }];
      },
    });
    const look: AgentTool = {
      name: "look",
      description: "looks",
      parameters: {},
      idempotent: false,
      execute: (call) => {
        executed.push(call.id);
        return Promise.resolve({ text: "seen" });
      },
    };
    const lease = manualLease();
    await pool.worker({ tools: () => [look], keepLease: lease.keepLease });
    const run = await pool.send("hi", "run-1");
    await reached.reached;
    const [first] = await pool.realLedger.workers();
    await pool.realLedger.retireWorker(first!.worker);
    const readied = (await pool.realLedger.readySessions(0, 10)).sessions;
    lease.lose();
    await pool.worker({ tools: () => [look] });
    await pool.queue.port.reclaim(first!.worker, ["shared"]);
    await pool.queue.port.enqueue(readied);

    const story = await pool.story(run);
    const second = story.filter((event) => attemptOfRunSeq(event.runSeq) === 2);
    expect(second[0]?.body).toMatchObject({ type: "started", text: "let me look" });
    expect(second.map((event) => placeOfRunSeq(event.runSeq))).toEqual(upTo(second.length));
    expect(textOf(story)).toBe("the answer");
    expect(executed).toEqual(["call-1"]);
    expect(await pool.ended(run)).toMatchObject({
      status: "succeeded",
      attempt: 2,
      result: { text: "the answer" },
    });
    expect(await pool.transcript()).toEqual([
      "user: hi",
      "assistant: let me look",
      "toolResult: seen",
      "assistant: the answer",
    ]);
  });

  it("does not take for the run's answer what somebody put in before the run was lost", async () => {
    const reached = gate();
    const contexts: string[][] = [];
    const pool = await memoryPool({
      script: (turn) => {
        contexts.push(turn.messages.map(messageText));
        return turn.attempt === 1 ? [{ gate: reached }] : [{ say: "the answer" }];
      },
    });
    const lease = manualLease();
    await pool.worker({ keepLease: lease.keepLease });
    const run = await pool.send("hi", "run-1");
    await reached.reached;
    await pool.sessions.port.append(TENANT, SESSION, {
      messageId: "injected",
      body: { inline: { role: "assistant", content: "by the way", timestamp: 1 } },
    });
    const [first] = await pool.realLedger.workers();
    await pool.realLedger.retireWorker(first!.worker);
    lease.lose();
    await pool.worker();
    expect(await pool.ended(run)).toMatchObject({ status: "succeeded", result: { text: "the answer" } });
    expect(contexts).toEqual([["hi"], ["by the way", "hi"]]);
  });

  it("records a tool before it starts it", async () => {
    const pool = await memoryPool({
      script: (_turn, answered) => (answered === 0 ? [{ call: "act", id: "call-1" }] : [{ say: "done" }]),
    });
    let recorded = false;
    const checkpoint = pool.realLedger.checkpoint.bind(pool.realLedger);
    const ledger = {
      ...pool.realLedger,
      checkpoint: async (batch: Parameters<typeof checkpoint>[0]) => {
        const answers = await checkpoint(batch);
        recorded ||= batch.some(({ steps }) => steps.some((step) => step.kind === "tool_started"));
        return answers;
      },
    };
    const act: AgentTool = {
      name: "act",
      description: "acts",
      parameters: {},
      idempotent: false,
      execute: () => Promise.resolve({ text: recorded ? "recorded before" : "not recorded" }),
    };
    await pool.worker({ ledger, tools: () => [act] });
    await pool.ended(await pool.send("hi", "run-1"));
    expect(await pool.transcript()).toContain("toolResult: recorded before");
  });

  it("repeats a finish whose answer was lost, and the result is stored once", async () => {
    const pool = await memoryPool();
    await pool.worker();
    pool.ledger.break("after", ["finish"], 2);
    const run = await pool.send("hi", "run-1");
    await pool.story(run);
    expect(pool.ledger.calls.filter((call) => call === "finish")).toHaveLength(3);
    expect(await pool.transcript()).toHaveLength(2);
  });

  it("keeps a computed answer while Postgres is away", async () => {
    const pool = await memoryPool();
    await pool.worker();
    pool.ledger.break("before", ["finish", "checkpoint"]);
    const run = await pool.send("hi", "run-1");
    await until(
      () => pool.ledger.calls.filter((call) => call === "finish" || call === "checkpoint").length >= 3,
    );
    expect(await pool.realLedger.get(TENANT, run)).toMatchObject({ status: "running" });
    pool.ledger.mend();
    expect(await pool.ended(run)).toMatchObject({ status: "succeeded", attempt: 1 });
  });

  it("writes and says nothing more once its lease cannot be trusted, and goes on under a new id", async () => {
    const reached = gate();
    const pool = await memoryPool({ script: () => [{ say: "never " }, { gate: reached }, { say: "heard" }] });
    const leases = [manualLease(), manualLease()];
    let lives = 0;
    const worker = await pool.worker({ keepLease: (request) => leases[lives++]!.keepLease(request) });
    const first = worker.workerId;
    const run = await pool.send("hi", "run-1");
    await reached.reached;
    const writesBefore = pool.ledger.calls.length;
    leases[0]!.lose();
    reached.open();
    await until(() => worker.workerId !== null && worker.workerId !== first);
    expect(
      pool.ledger.calls.slice(writesBefore).filter((call) => call === "finish" || call === "checkpoint"),
    ).toEqual([]);
    expect(await pool.realLedger.get(TENANT, run)).toMatchObject({ status: "running" });
    expect(pool.events.filter((event) => event.body.type === "final")).toEqual([]);
    expect(worker.metrics().leasesLost).toBe(1);
  });

  it("stops its agents when its lease is lost", async () => {
    const pool = await memoryPool();
    const reasons: unknown[] = [];
    const started = Promise.withResolvers<void>();
    const runtime: AgentRuntime = {
      run: (_turn, _io, signal) =>
        new Promise((_resolve, reject) => {
          started.resolve();
          signal.addEventListener("abort", () => {
            reasons.push(signal.reason);
            reject(signal.reason as Error);
          });
        }),
    };
    const leases = [manualLease(), manualLease()];
    let lives = 0;
    await pool.worker({ runtime, keepLease: (request) => leases[lives++]!.keepLease(request) });
    await pool.send("hi", "run-1");
    await started.promise;
    leases[0]!.lose();
    await until(() => reasons.length > 0);
    expect(reasons).toMatchObject([{ code: "LEASE_LOST" }]);
  });

  it("drops a run whose writes are refused, without touching its others", async () => {
    const reached = gate();
    const pool = await memoryPool({
      script: (turn) =>
        turn.runId === "run-1" ? [{ gate: reached }, { checkpoint: true }, { say: "late" }] : [{ say: "ok" }],
    });
    const worker = await pool.worker();
    const fenced = { kind: "fenced" } as const;
    const run = await pool.send("hi", "run-1");
    await reached.reached;
    pool.realLedger.checkpoint = (batch) => Promise.resolve(batch.map(() => fenced));
    reached.open();
    await until(() => worker.metrics().fenced === 1);
    expect(await pool.realLedger.get(TENANT, run)).toMatchObject({ status: "running" });
    await pool.story(await pool.send("other", "run-2", { session: "agent:main:other" }));
    expect(pool.events.filter((event) => event.runId === run && event.body.type === "final")).toEqual([]);
  });

  it("ends a run whose result the ledger refuses as failed, and frees its session", async () => {
    const pool = await memoryPool();
    const finish = pool.realLedger.finish.bind(pool.realLedger);
    pool.realLedger.finish = (batch) =>
      batch.some((request) => request.grant.runId === "run-1" && request.messages.length > 0)
        ? Promise.reject(new HAError("INTERNAL", "unsupported Unicode escape sequence"))
        : finish(batch);
    await pool.worker();
    const bad = await pool.send("hi", "run-1");
    const good = await pool.send("hi", "run-2");
    expect(await pool.ended(bad)).toMatchObject({ status: "failed", error: { kind: "result_refused" } });
    expect(await pool.ended(good)).toMatchObject({ status: "succeeded" });
  });
});
