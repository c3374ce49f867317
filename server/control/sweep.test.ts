import { describe, expect, it } from "vitest";
import { runId, sessionKey, tenantId, workerId } from "../core/ids.ts";
import { ATTEMPT_STRIDE, runSeqOf } from "../core/run-event.ts";
import type { RunRecord } from "../core/run.ts";
import { fakeClock } from "../testing/fake-clock.ts";
import { memoryPool, SESSION, TENANT } from "../testing/memory-pool.ts";
import { AGENT } from "../testing/test-catalog.ts";
import { requeuePass } from "./requeue.ts";
import { sweeper } from "./sweep.ts";

const dead = workerId("worker-0.dead0000");
const alive = workerId("worker-1.a11fe000");

async function setup() {
  const clock = fakeClock();
  const pool = await memoryPool({ clock });
  const repairs = sweeper({
    ledger: pool.ledger.port,
    queue: pool.queue.port,
    bus: pool.bus.port,
    clock,
    logger: pool.logger,
    pools: ["shared"],
  });
  const register = (worker: typeof dead): Promise<void> =>
    pool.realLedger.registerWorker({ worker, instance: worker, pools: ["shared"], slots: 1 }, "held");
  const take = (worker: typeof dead) => pool.queue.port.take(worker, ["shared"], 10, 0);
  return { ...pool, clock, repairs, register, take };
}

describe("the sweep", () => {
  it("wakes a dead worker's sessions elsewhere, at once and once", async () => {
    const { repairs, register, take, send, realLedger, clock } = await setup();
    await register(dead);
    await send("hi", "run-1");
    await take(dead);
    await realLedger.claim(dead, [{ tenant: TENANT, sessionKey: SESSION }]);
    await clock.advance(11_000);
    await register(alive);
    const report = await repairs.sweep();
    expect(report.deadWorkers.map(({ worker }) => worker)).toEqual([dead]);
    const [delivery, ...more] = await take(alive);
    expect(delivery).toMatchObject({ tenant: TENANT, sessionKey: SESSION });
    expect(more).toEqual([]);
    expect(await realLedger.claim(alive, [delivery!])).toMatchObject([
      { kind: "granted", grant: { attempt: 2 } },
    ]);
  });

  it("goes on where queue and bus are away, and the next requeue does what it left undone", async () => {
    const { repairs, register, take, send, realLedger, clock, queue, bus } = await setup();
    await register(dead);
    await send("hi", "run-1");
    await take(dead);
    await realLedger.claim(dead, [{ tenant: TENANT, sessionKey: SESSION }]);
    await clock.advance(11_000);
    queue.break("before");
    bus.break("before");
    expect((await repairs.sweep()).readied).toHaveLength(1);
    queue.mend();
    await register(alive);
    // The queue still believes the session to be with the dead worker, until that one is found to be unknown.
    await repairs.reclaimOrphans();
    await clock.advance(9_000);
    await realLedger.heartbeat(alive, "held");
    await clock.advance(7_000);
    await repairs.reclaimOrphans();
    expect(await repairs.requeue(0)).toBe(1);
    expect(await take(alive)).toHaveLength(1);
  });

  it("tells the end of a buried run, above all it has said and below all that a redrive will say", async () => {
    const { events, clock, queue, bus, logger } = await setup();
    const run = {
      tenant: tenantId("acme"),
      runId: runId("run-1"),
      sessionKey: sessionKey("agent:main:main"),
      agentId: AGENT,
      attempt: 3,
      status: "dead",
      error: { kind: "worker_lost", message: "it took three workers down" },
    } as RunRecord;
    const ledger = {
      sweep: () => Promise.resolve({ deadWorkers: [], readied: [], buried: [{ run, token: 9 }] }),
      readySessions: () => Promise.resolve({ sessions: [], next: null }),
      workers: () => Promise.resolve([]),
    };
    await sweeper({ ledger, queue: queue.port, bus: bus.port, clock, logger, pools: [] }).sweep();
    const [event] = events;
    expect(event).toMatchObject({ token: 9, body: { type: "error", error: { kind: "worker_lost" } } });
    expect(event!.runSeq).toBe(3 * ATTEMPT_STRIDE);
    expect(event!.runSeq).toBeLessThan(runSeqOf(4, 1));
  });

  it("leaves takers alone that the ledger knows, and new ones for a while", async () => {
    const { repairs, register, take, send, queue, clock } = await setup();
    await register(alive);
    await send("hi", "run-1");
    await take(alive);
    await repairs.reclaimOrphans();
    await clock.advance(1_000);
    await repairs.reclaimOrphans();
    expect(await queue.port.depth("shared")).toMatchObject({ delivered: 1 });
    expect(queue.calls).not.toContain("reclaim");
  });

  it("frees what a taker has that the ledger never knew, but not at once: it may be registering", async () => {
    const { repairs, take, send, queue, clock } = await setup();
    await send("hi", "run-1");
    await take(dead);
    await repairs.reclaimOrphans();
    await clock.advance(14_000);
    await repairs.reclaimOrphans();
    expect(await queue.port.depth("shared")).toMatchObject({ delivered: 1 });
    await clock.advance(2_000);
    await repairs.reclaimOrphans();
    expect(await queue.port.depth("shared")).toMatchObject({ delivered: 0, ready: 1 });
    expect(await queue.port.workers("shared")).toEqual([]);
  });

  it("pages through every ready session", async () => {
    const { repairs, realLedger, send, queue, clock } = await setup();
    queue.break("before", ["enqueue"]);
    for (let i = 0; i < 1_203; i++) await send("hi", `run-${i}`, { session: `agent:main:s${i}` });
    queue.mend();
    await clock.advance(2_000);
    expect(await repairs.requeue(1_000)).toBe(1_203);
    const { ready, backlog } = await queue.port.depth("shared");
    expect(ready + backlog).toBe(1_203);
    expect((await realLedger.backlog()).ready).toBe(1_203);
  });
});

describe("keeping the queue whole", () => {
  it("adds at once what a queue has lost that was emptied", async () => {
    const { repairs, send, queue, clock, ledger } = await setup();
    let epoch = "one";
    const pass = requeuePass({
      sweeper: repairs,
      queue: { epoch: () => Promise.resolve(epoch) },
      clock,
    });
    await pass();
    queue.break("before", ["enqueue"]); // as if it had forgotten it
    await send("hi", "run-1");
    queue.mend();
    await pass();
    expect((await queue.port.depth("shared")).ready).toBe(0);
    epoch = "two";
    await pass();
    expect((await queue.port.depth("shared")).ready).toBe(1);
    const looked = ledger.calls.filter((call) => call === "readySessions").length;
    await pass();
    expect(ledger.calls.filter((call) => call === "readySessions")).toHaveLength(looked);
  });

  it("adds everything when the queue is back", async () => {
    const { repairs, send, queue, clock } = await setup();
    const pass = requeuePass({ sweeper: repairs, queue: queue.port, clock });
    await pass();
    queue.break("before");
    await expect(pass()).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
    await send("hi", "run-1");
    queue.mend();
    await pass();
    expect((await queue.port.depth("shared")).ready).toBe(1);
  });

  it("looks every second for sessions whose wake-up was lost", async () => {
    const { repairs, send, queue, clock } = await setup();
    const pass = requeuePass({ sweeper: repairs, queue: queue.port, clock });
    await pass();
    queue.break("before", ["enqueue"]);
    await send("hi", "run-1");
    queue.mend();
    await pass();
    expect((await queue.port.depth("shared")).ready).toBe(0);
    await clock.advance(1_001);
    await pass();
    expect((await queue.port.depth("shared")).ready).toBe(1);
  });
});
