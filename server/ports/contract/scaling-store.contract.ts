import { randomUUID } from "node:crypto";
import { describe, expect, it, onTestFinished } from "vitest";
import { DEFAULT_SCALING, type InstanceLoad } from "../../core/scaling.ts";
import type { ScalingStore } from "../scaling-store.ts";

export interface ScalingStoreFixture {
  /** With an operator's rights; nobody else uses it. */
  readonly scaling: ScalingStore;
  /** A term lapses, a load grows old. */
  readonly passTime: (ms: number) => Promise<void>;
  readonly close: () => Promise<void>;
}

const TTL_MS = 5_000;
const AUTO = { ...DEFAULT_SCALING, auto: true };

const load = (instance: string, change: Partial<InstanceLoad> = {}): InstanceLoad => ({
  instance,
  pool: "worker",
  cpu: 0.5,
  loop: 0.4,
  rssBytes: 200_000_000,
  busy: 3,
  slots: 64,
  connections: 0,
  ...change,
});

/** Every promise of ScalingStore, to be run on each adapter. */
export function scalingStoreContract(adapter: string, open: () => Promise<ScalingStoreFixture>): void {
  const setup = async () => {
    const fixture = await open();
    onTestFinished(() => fixture.close());
    const holder = (name: string): string => `${name}.${randomUUID()}`;
    return { ...fixture, a: holder("a"), b: holder("b") };
  };

  describe(`ScalingStore contract: ${adapter}`, () => {
    it("lets one lead at a time, who keeps its token as long as it renews", async () => {
      const { scaling, a, b, passTime } = await setup();
      const term = await scaling.lead(a, TTL_MS);
      expect(term).toMatchObject({ holder: a });
      expect(await scaling.lead(b, TTL_MS)).toBeNull();
      for (let n = 0; n < 3; n++) {
        await passTime(TTL_MS - 1_000);
        expect(await scaling.lead(a, TTL_MS)).toEqual(term);
      }
    });

    it("gives the term to one of many who ask at once", async () => {
      const { scaling, a } = await setup();
      const asked = await Promise.all(Array.from({ length: 8 }, (_, n) => scaling.lead(`${a}-${n}`, TTL_MS)));
      expect(asked.filter((term) => term !== null)).toHaveLength(1);
    });

    it("gives a lapsed term to the next one, under a larger token", async () => {
      const { scaling, a, b, passTime } = await setup();
      const first = await scaling.lead(a, TTL_MS);
      await passTime(TTL_MS + 1);
      const second = await scaling.lead(b, TTL_MS);
      expect(second?.token).toBeGreaterThan(first?.token ?? Infinity);
      expect(await scaling.lead(a, TTL_MS)).toBeNull();
    });

    it("raises the token of a leader that let its term lapse: somebody may have led meanwhile", async () => {
      const { scaling, a, passTime } = await setup();
      const first = await scaling.lead(a, TTL_MS);
      await passTime(TTL_MS + 1);
      expect((await scaling.lead(a, TTL_MS))?.token).toBeGreaterThan(first?.token ?? Infinity);
    });

    it("frees a term that was resigned at once, and by its holder alone", async () => {
      const { scaling, a, b } = await setup();
      await scaling.lead(a, TTL_MS);
      await scaling.resign(b);
      expect(await scaling.lead(b, TTL_MS)).toBeNull();
      await scaling.resign(a);
      expect(await scaling.lead(b, TTL_MS)).toMatchObject({ holder: b });
    });

    it("keeps what an operator wants, and says who changed it and why", async () => {
      const { scaling } = await setup();
      const wish = { otherwise: 2, policy: DEFAULT_SCALING, reason: "openclaw-ha scale" };
      await scaling.setSize("worker", { ...wish, desired: null });
      expect(await scaling.sizes(5)).toEqual([
        { pool: "worker", desired: 2, policy: DEFAULT_SCALING, decisions: [] },
      ]);
      await scaling.setSize("worker", { ...wish, desired: 5 });
      await scaling.setSize("worker", { ...wish, desired: 5, policy: AUTO });
      await scaling.setSize("worker", { ...wish, desired: null, otherwise: 9, policy: AUTO });
      const decision = { pool: "worker", from: 2, to: 5, reason: "openclaw-ha scale", by: "operator" };
      expect(await scaling.sizes(5)).toEqual([
        {
          pool: "worker",
          desired: 5,
          policy: AUTO,
          decisions: [{ ...decision, at: expect.any(Number) as number }],
        },
      ]);
    });

    it("changes a size under the term, and tells the newest decisions first", async () => {
      const { scaling, a } = await setup();
      await scaling.setSize("worker", { desired: 2, otherwise: 2, policy: AUTO, reason: "" });
      await scaling.setSize("gateway", { desired: 2, otherwise: 2, policy: AUTO, reason: "" });
      const term = (await scaling.lead(a, TTL_MS))!;
      expect(await scaling.decide(term, { pool: "worker", from: 2, to: 4, reason: "one" })).toBe(true);
      expect(await scaling.decide(term, { pool: "worker", from: 4, to: 6, reason: "two" })).toBe(true);
      expect(await scaling.decide(term, { pool: "worker", from: 6, to: 3, reason: "three" })).toBe(true);
      const [gateway, worker] = (await scaling.sizes(2)).toSorted((x, y) => x.pool.localeCompare(y.pool));
      expect(gateway).toMatchObject({ pool: "gateway", desired: 2, decisions: [] });
      expect(worker).toMatchObject({
        desired: 3,
        decisions: [
          { from: 6, to: 3, reason: "three", by: a },
          { from: 4, to: 6, reason: "two", by: a },
        ],
      });
    });

    it("refuses a decision of a term that is over, by a successor, by time or by resignation", async () => {
      const { scaling, a, b, passTime } = await setup();
      await scaling.setSize("worker", { desired: 2, otherwise: 2, policy: AUTO, reason: "" });
      const change = { pool: "worker", from: 2, to: 4, reason: "late" } as const;
      const first = (await scaling.lead(a, TTL_MS))!;
      await passTime(TTL_MS + 1);
      expect(await scaling.decide(first, change)).toBe(false);
      const second = (await scaling.lead(b, TTL_MS))!;
      expect(await scaling.decide(first, change)).toBe(false);
      expect(await scaling.decide({ ...second, holder: a }, change)).toBe(false);
      expect(await scaling.decide({ ...first, holder: b }, change)).toBe(false);
      await scaling.resign(b);
      expect(await scaling.decide(second, change)).toBe(false);
      expect(await scaling.sizes(5)).toMatchObject([{ desired: 2, decisions: [] }]);
    });

    it("refuses a decision on a size that changed meanwhile, or that is an operator's", async () => {
      const { scaling, a } = await setup();
      await scaling.setSize("worker", { desired: 2, otherwise: 2, policy: AUTO, reason: "" });
      const term = (await scaling.lead(a, TTL_MS))!;
      await scaling.setSize("worker", { desired: 3, otherwise: 2, policy: AUTO, reason: "by hand" });
      const stale = { pool: "worker", from: 2, to: 4, reason: "stale" } as const;
      expect(await scaling.decide(term, stale)).toBe(false);
      await scaling.setSize("worker", {
        desired: null,
        otherwise: 2,
        policy: DEFAULT_SCALING,
        reason: "auto off",
      });
      expect(await scaling.decide(term, { ...stale, from: 3 })).toBe(false);
      expect(await scaling.sizes(5)).toMatchObject([{ desired: 3, decisions: [{ reason: "by hand" }] }]);
    });

    it("tells the newest load of each instance, until it is forgotten or too old", async () => {
      const { scaling, passTime } = await setup();
      await scaling.report(load("worker-1", { busy: 1 }));
      await passTime(3_000);
      await scaling.report(load("worker-1", { busy: 2 }));
      await scaling.report(load("worker-2"));
      await scaling.report(load("gateway-1", { pool: "gateway", slots: 0, busy: 0, connections: 7 }));
      const before = await scaling.observe(5_000);
      expect(before.loads.toSorted((x, y) => x.instance.localeCompare(y.instance))).toEqual([
        load("gateway-1", { pool: "gateway", slots: 0, busy: 0, connections: 7 }),
        load("worker-1", { busy: 2 }),
        load("worker-2"),
      ]);
      await scaling.forget("worker-2");
      await scaling.forget("worker-2");
      await passTime(3_000);
      await scaling.report(load("worker-1"));
      const after = await scaling.observe(2_000);
      expect(after.loads).toEqual([load("worker-1")]);
      expect(after.at).toBeGreaterThanOrEqual(before.at);
    });
  });
}
