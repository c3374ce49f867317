import { describe, expect, it } from "vitest";
import { DEFAULT_SCALING, type ScalingPolicy } from "../../core/scaling.ts";
import { seededRandom } from "../../testing/seeded-random.ts";
import {
  type LoadCurve,
  simulatePool,
  SIMULATED_SLOTS as SLOTS,
  type SimulatedPool,
} from "../../testing/simulated-pool.ts";
import { planScale } from "./plan-scale.ts";
import type { PoolObservation } from "./pool-observation.ts";

const POLICY: ScalingPolicy = { ...DEFAULT_SCALING, auto: true, min: 2, max: 20 };
const SHRINK_S = POLICY.shrinkAfterMs / 1_000;
const COOLDOWN_S = POLICY.cooldownMs / 1_000;

/** Every promise that holds whatever the load does. */
function expectSteadyHand({ changes, sizes }: SimulatedPool, policy = POLICY): void {
  for (const size of sizes) {
    expect(size).toBeGreaterThanOrEqual(policy.min);
    expect(size).toBeLessThanOrEqual(policy.max);
  }
  for (const [n, change] of changes.entries()) {
    const before = changes[n - 1];
    const passed = change.at - (before?.at ?? -Infinity);
    const pause = change.to < change.from ? policy.shrinkAfterMs : policy.cooldownMs;
    expect(passed * 1_000).toBeGreaterThanOrEqual(pause);
  }
}

/** How often a pool went the other way than before. */
const turns = ({ changes }: SimulatedPool): number =>
  changes.filter(({ from, to }, n) => {
    const before = changes[n - 1];
    return before !== undefined && to > from !== before.to > before.from;
  }).length;

const run = (curve: LoadCurve, seconds = 900, size = 2): SimulatedPool => {
  const pool = simulatePool(POLICY, curve, { seconds, size });
  expectSteadyHand(pool);
  return pool;
};

/** From a second on until another one. */
const between =
  (from: number, to: number, high: number, low: number): LoadCurve =>
  (t) =>
    t >= from && t < to ? high : low;

describe("planScale on generated load curves", () => {
  it("leaves a steady load that fits alone", () => {
    expect(run(() => 14).changes).toEqual([]);
  });

  it("finds the size of a steady load that does not fit in one step, and keeps it", () => {
    const { changes, waiting } = run(() => 50);
    expect(changes).toMatchObject([
      { from: 2, to: 7, reason: expect.stringMatching(/sessions running|waiting/) },
    ]);
    expect(waiting.slice(20).every((sessions) => sessions === 0)).toBe(true);
  });

  it("answers a tenfold burst within seconds, holds it, and comes back afterwards", () => {
    const { changes, sizes, waiting } = run(between(100, 220, 140, 14));
    const first = changes.at(0);
    expect(first?.at).toBeGreaterThanOrEqual(100);
    expect(first?.at).toBeLessThanOrEqual(100 + POLICY.growAfterMs / 1_000 + 1);
    // Nobody waits any more once the new workers are up.
    expect(waiting.slice(115).every((sessions) => sessions === 0)).toBe(true);
    expect(Math.max(...sizes)).toBeGreaterThanOrEqual(140 / SLOTS);
    expect(changes.filter(({ at, from, to }) => at < 220 && to < from)).toEqual([]);
    expect(sizes.at(-1)).toBe(3);
    expect(turns({ changes, sizes, waiting })).toBe(1);
  });

  it.each([4, 20, 45])("stays at the top of a load that swings every %i s", (period) => {
    const pool = run((t) => 60 + 50 * Math.sin((2 * Math.PI * t) / period));
    expect(turns(pool)).toBe(0);
    // It has found its size within the first swings.
    expect(pool.changes.filter(({ at }) => at > 4 * period + 10)).toEqual([]);
  });

  it("follows a swing that is far slower than its memory once up and once down", () => {
    const period = 1_200;
    const pool = run((t) => 60 - 50 * Math.cos((2 * Math.PI * t) / period), 2 * period);
    expect(turns(pool)).toBeLessThanOrEqual(3);
    const late = pool.waiting.filter((sessions) => sessions > 0).length;
    expect(late / pool.waiting.length).toBeLessThan(0.01);
  });

  it.each([30, 300])("does not chase a sawtooth of %i s", (period) => {
    const pool = run((t) => 10 + 90 * ((t % period) / period), 5 * period + 200);
    expect(turns(pool)).toBeLessThanOrEqual(period > SHRINK_S ? 2 * 5 : 0);
  });

  it("does not answer a single spike", () => {
    expect(run(between(50, 52, 200, 10)).changes).toEqual([]);
  });

  it("goes down to the minimum when idle, by half at most at once, and stays there", () => {
    const { changes } = run(() => 0, 900, 16);
    expect(changes.map(({ to }) => to)).toEqual([8, 4, 2]);
    expect(changes.map(({ at }) => at)).toEqual([SHRINK_S, 2 * SHRINK_S, 3 * SHRINK_S]);
  });

  it.each([1, 2, 3, 4, 5])("keeps its promises under a random load (seed %i)", (seed) => {
    const random = seededRandom(seed);
    let level = 20;
    const curve: LoadCurve = () => {
      if (random.float() < 0.02) level = random.float() * 250;
      return level * (0.7 + 0.6 * random.float());
    };
    const pool = run(curve, 3_000);
    // At most one turn in the time that a shrink has to wait.
    expect(turns(pool)).toBeLessThanOrEqual(2 * (3_000 / SHRINK_S));
  });

  it("keeps its promises with other limits too", () => {
    const policy = { ...POLICY, min: 1, max: 3, growAfterMs: 0, cooldownMs: 1_000, shrinkAfterMs: 5_000 };
    const curve: LoadCurve = (t) => (t % 60 < 30 ? 100 : 0);
    const pool = simulatePool(policy, curve, { seconds: 600, size: 1 });
    expectSteadyHand(pool, policy);
    expect(Math.max(...pool.sizes)).toBe(3);
    expect(Math.min(...pool.sizes)).toBe(1);
  });
});

describe("planScale", () => {
  const observation = (at: number, change: Partial<PoolObservation> = {}): PoolObservation => ({
    at,
    size: 2,
    queue: { running: 0, waiting: 0, delayMs: 0 },
    loads: [1, 2].map((n) => ({
      instance: `worker-${n}`,
      pool: "worker",
      cpu: 0.1,
      loop: 0.1,
      rssBytes: 2e8,
      busy: 0,
      slots: 10,
      connections: 0,
    })),
    ...change,
  });
  const series = (seconds: number, change: Partial<PoolObservation>): PoolObservation[] =>
    Array.from({ length: seconds + 1 }, (_, second) => observation(second * 1_000, change));
  const plan = (observations: PoolObservation[], changedAt: number | null = null, policy = POLICY) =>
    planScale("worker", policy, { observations, changedAt });
  const busy = (share: Partial<PoolObservation["loads"][number]>) => ({
    loads: observation(0).loads.map((load) => ({ ...load, ...share })),
  });

  it("keeps a size within its limits before anything else", () => {
    expect(plan([observation(0, { size: 1 })])).toMatchObject({ size: 2 });
    expect(plan([observation(0, { size: 30 })])).toMatchObject({ size: 20 });
  });

  it("knows nothing where no instance reports, and keeps the size", () => {
    const blind = { size: 5, loads: [], queue: { running: 0, waiting: 90, delayMs: 60_000 } };
    expect(plan(series(120, blind))).toMatchObject({ size: 5 });
  });

  it("does not shrink before it has seen the whole time, as a new leader has not", () => {
    const idle = { size: 8 };
    expect(plan(series(SHRINK_S - 1, idle))).toMatchObject({ size: 8 });
    expect(plan(series(SHRINK_S, idle))).toMatchObject({ size: 4 });
  });

  it("does not count time that it has not seen", () => {
    const before = series(40, { size: 8 });
    const after = series(30, { size: 8 }).map((seen) => ({ ...seen, at: seen.at + 100_000 }));
    expect(plan([...before, ...after])).toMatchObject({ size: 8 });
  });

  it("grows on CPU where the queue is fine, and says so", () => {
    expect(plan(series(5, busy({ cpu: 0.95 })))).toEqual({
      size: 3,
      reason: "1.9 cores in use by 2 instances",
    });
  });

  it("grows on memory", () => {
    expect(plan(series(5, busy({ rssBytes: 2 * 1024 ** 3 })))).toMatchObject({
      size: 3,
      reason: expect.stringContaining("GiB"),
    });
  });

  it("grows faster where the queue is late and the workers are full", () => {
    const queue = { running: 2, waiting: 5, delayMs: 4_000 };
    const full = { ...busy({ cpu: 0.75 }), queue };
    expect(plan(series(5, full))).toMatchObject({
      size: 4,
      reason: expect.stringContaining("waits for 4 s"),
    });
  });

  it("does not grow for a late queue that workers are not the cause of", () => {
    expect(plan(series(5, { queue: { running: 0, waiting: 3, delayMs: 60_000 } }))).toMatchObject({
      size: 2,
    });
  });

  it("waits out the cool-down after a growth, and a whole quiet time after any change", () => {
    const load = { queue: { running: 20, waiting: 20, delayMs: 0 } };
    expect(plan(series(60, load), 60_000 - POLICY.cooldownMs + 1)).toMatchObject({ size: 2 });
    expect(plan(series(60, load), 60_000 - POLICY.cooldownMs)).toMatchObject({ size: 5 });
    expect(COOLDOWN_S).toBeLessThan(SHRINK_S);
    expect(plan(series(90, { size: 8 }), 31_000)).toMatchObject({ size: 8 });
    expect(plan(series(90, { size: 8 }), 30_000)).toMatchObject({ size: 4 });
  });

  it("sizes gateways by their clients", () => {
    const crowded = series(5, busy({ connections: 3_000 }));
    expect(planScale("gateway", POLICY, { observations: crowded, changedAt: null })).toEqual({
      size: 4,
      reason: "6000 clients connected, for 2000 a gateway",
    });
  });
});
