import { describe, expect, it, onTestFinished } from "vitest";
import { memoryScalingStore } from "../adapters/memory/scaling-store.ts";
import { gate } from "../adapters/scripted-agent/gate.ts";
import { fakeClock } from "../testing/fake-clock.ts";
import { memoryPool } from "../testing/memory-pool.ts";
import { TEST_CATALOG } from "../testing/test-catalog.ts";
import { startControl } from "./main.ts";

describe("the control process", () => {
  const setup = async () => {
    const clock = fakeClock();
    const over = new AbortController();
    onTestFinished(() => over.abort()); // the first one to be registered is the last one to be called
    const pass = async (): Promise<void> => {
      // Time passes in steps, each after all that the one before has set off.
      while (!over.signal.aborted) await clock.advance(50);
    };
    void pass();
    const reached = gate();
    const pool = await memoryPool({
      clock,
      script: (turn) => (turn.attempt === 1 ? [{ gate: reached }] : [{ say: "ok" }]),
    });
    const control = async (): Promise<void> => {
      const handle = await startControl({
        ledger: pool.ledger.port,
        sessions: pool.sessions.port,
        queue: pool.queue.port,
        bus: pool.bus.port,
        objects: pool.objects.port,
        scaling: memoryScalingStore({ clock }),
        cron: pool.cron,
        directory: pool.directory,
        subagents: pool.subagents,
        catalog: TEST_CATALOG,
        instance: "control",
        clock,
        random: pool.random,
        logger: pool.logger,
        pools: ["shared"],
      });
      onTestFinished(() => handle.close());
    };
    /** A worker whose heartbeats reach nobody: to the ledger it dies. */
    const mute = () =>
      pool.worker({
        keepLease: async ({ register }) => {
          await register("held");
          return { trustMs: () => 8_000, lost: new AbortController().signal, stop: () => Promise.resolve() };
        },
      });
    return { ...pool, reached, control, mute };
  };

  it("has a dead worker's run carried on by another, also with several of its kind at work", async () => {
    const { control, mute, worker, send, reached, realLedger, ended } = await setup();
    await Promise.all([control(), control(), control()]);
    await mute();
    const run = await send("hi", "run-1");
    await reached.reached;
    await worker();
    expect(await ended(run)).toMatchObject({ status: "succeeded", attempt: 2, failures: 1 });
    expect(await realLedger.workers()).toHaveLength(1);
  });

  it("is not missed: workers sweep too, only later", async () => {
    const { mute, worker, send, reached, ended } = await setup();
    await mute();
    const run = await send("hi", "run-1");
    await reached.reached;
    await worker({ backUpSweep: true });
    expect(await ended(run)).toMatchObject({ status: "succeeded", attempt: 2 });
  });
});
