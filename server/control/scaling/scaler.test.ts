import { describe, expect, it } from "vitest";
import { memoryScalingStore } from "../../adapters/memory/scaling-store.ts";
import { DEFAULT_SCALING, type LaneDemand, type ScalingPolicy } from "../../core/scaling.ts";
import { fakeClock } from "../../testing/fake-clock.ts";
import { recordingLogger } from "../../testing/recording-logger.ts";
import { scaler, TERM_MS } from "./scaler.ts";

const POLICY: ScalingPolicy = { ...DEFAULT_SCALING, auto: true, min: 1, max: 6, shrinkAfterMs: 10_000 };

async function setup(policy: ScalingPolicy = POLICY) {
  const clock = fakeClock();
  let lanes: LaneDemand[] = [];
  const scaling = memoryScalingStore({ clock, lanes: () => lanes });
  await scaling.setSize("worker", { desired: 2, otherwise: 2, policy, reason: "" });
  const start = (name: string) =>
    scaler({
      scaling,
      laneWidths: { main: 1_000, subagent: 8, cron: 8 },
      logger: recordingLogger(),
      holder: `${name}.1`,
    });
  const size = async () => (await scaling.sizes(5))[0]!;
  return {
    scaling,
    clock,
    start,
    size,
    demand: (running: number, ready: number) => {
      lanes = [{ tenant: "a", lane: "main", ready, running, oldestReadyMs: ready > 0 ? 500 : null }];
    },
    /** Seconds in which the workers report and each of the processes makes a pass. */
    pass: async (seconds: number, ...scalers: ReturnType<typeof start>[]) => {
      for (let second = 0; second < seconds; second++) {
        const { desired } = await size();
        for (let n = 1; n <= desired; n++) {
          await scaling.report({
            instance: `worker-${n}`,
            pool: "worker",
            cpu: 0.1,
            loop: 0.1,
            rssBytes: 1e8,
            busy: 0,
            slots: 10,
            connections: 0,
          });
        }
        for (const each of scalers) await each.pass();
        await clock.advance(1_000);
      }
    },
  };
}

describe("the scaler", () => {
  it("grows a pool under load and shrinks it afterwards, each with its reason", async () => {
    const { start, pass, demand, size } = await setup();
    const control = start("control-1");
    demand(20, 20);
    await pass(5, control);
    expect(await size()).toMatchObject({ desired: 5, decisions: [{ from: 2, to: 5, by: "control-1.1" }] });
    demand(2, 0);
    await pass(40, control);
    const { desired, decisions } = await size();
    expect(desired).toBe(1);
    expect(decisions.map(({ from, to }) => [from, to])).toEqual([
      [2, 1],
      [3, 2],
      [5, 3],
      [2, 5],
    ]);
    expect(decisions[0]?.reason).toContain("no more was needed for 10 s");
  });

  it("leaves a pool that an operator sizes alone, and one that nobody ever sized", async () => {
    const { start, pass, demand, size } = await setup({ ...POLICY, auto: false });
    demand(200, 200);
    await pass(20, start("control-1"));
    expect(await size()).toMatchObject({ desired: 2, decisions: [] });
  });

  it("decides in one process at a time, and in the next one when the first says nothing any more", async () => {
    const { start, pass, demand, size } = await setup();
    const [first, second] = [start("first"), start("second")];
    demand(20, 20);
    await pass(5, first, second);
    expect(await size()).toMatchObject({ desired: 5, decisions: [{ by: "first.1" }] });
    demand(40, 10);
    await pass(TERM_MS / 1_000 + 10, second);
    expect(await size()).toMatchObject({ desired: 6, decisions: [{ from: 5, to: 6, by: "second.1" }, {}] });
  });

  it("hands over at once where the leader leaves in order", async () => {
    const { start, scaling } = await setup();
    const [first, second] = [start("first"), start("second")];
    await first.pass();
    await second.pass();
    expect(await scaling.lead("third", 1)).toBeNull();
    await first.resign();
    await second.pass();
    await first.pass();
    expect(await scaling.lead("first.1", 1)).toBeNull();
    expect(await scaling.lead("second.1", 1)).not.toBeNull();
  });

  it("begins anew with each term: what it saw before it lost one does not make a pool shrink", async () => {
    const { start, pass, demand, size, scaling, clock } = await setup();
    const control = start("control-1");
    await scaling.setSize("worker", { desired: 6, otherwise: 6, policy: POLICY, reason: "" });
    demand(0, 0);
    await pass(9, control);
    await clock.advance(TERM_MS + 1);
    await scaling.lead("another", 1);
    await clock.advance(2);
    await pass(9, control);
    expect(await size()).toMatchObject({ desired: 6 });
    await pass(3, control);
    expect(await size()).toMatchObject({ desired: 3 });
  });

  it("remembers what it saw where its term only lapsed for a moment, as in a busy database", async () => {
    const { start, pass, demand, size, clock } = await setup({ ...POLICY, growAfterMs: 4_000 });
    const control = start("control-1");
    demand(20, 20);
    for (let late = 0; late < 3; late++) {
      await pass(1, control);
      await clock.advance(TERM_MS);
    }
    expect(await size()).toMatchObject({ desired: 5 });
  });
});
