import { describe, expect, it } from "vitest";
import { DEFAULT_SCALING } from "../core/scaling.ts";
import type { DesiredTopology } from "./deployment.ts";
import { desiredSchema, policyChangeSchema } from "./deployment.ts";
import { DESIRED } from "./fixtures/desired.ts";
import { decidedTopology, scaledTopology, sizeWishes } from "./scaling.ts";

const AUTO = { ...DEFAULT_SCALING, auto: true };
const desired = (change: Partial<DesiredTopology> = {}): DesiredTopology => ({
  ...DESIRED,
  workers: 3,
  ...change,
});
const automatic = desired({ scaling: { gateway: DEFAULT_SCALING, worker: AUTO } });

describe("a topology that is scaled", () => {
  it("has what was asked for and keeps the rest", () => {
    const after = scaledTopology(desired(), { worker: { size: 5, policy: { max: 9 } } });
    expect(after).toEqual(
      desired({
        workers: 5,
        scaling: { gateway: DEFAULT_SCALING, worker: { ...DEFAULT_SCALING, max: 9 } },
      }),
    );
    expect(scaledTopology(desired(), {})).toEqual(desired());
  });

  it("takes any size by hand, and those within the limits where the load decides", () => {
    expect(scaledTopology(desired(), { worker: { size: 50 } }).workers).toBe(50);
    expect(() => scaledTopology(automatic, { worker: { size: 50 } })).toThrow("outside of 2 to 8");
    expect(() => scaledTopology(automatic, { worker: { size: 1 } })).toThrow("outside of 2 to 8");
    expect(scaledTopology(automatic, { worker: { size: 50, policy: { max: 60 } } }).workers).toBe(50);
  });

  it("takes over what was decided for pools that are automatic, and only for these", () => {
    const decided = [
      { pool: "worker", desired: 7 },
      { pool: "gateway", desired: 5 },
    ] as const;
    expect(decidedTopology(automatic, decided)).toEqual({ ...automatic, workers: 7 });
    expect(decidedTopology(automatic, [{ pool: "worker", desired: 3 }])).toBe(automatic);
  });
});

describe("what the database is told of sizes", () => {
  const order = { reason: "openclaw-ha up", sizes: [] };
  const sizes = (before: DesiredTopology | null, after: DesiredTopology, asked = order) =>
    Object.fromEntries(sizeWishes(before, after, asked).map((wish) => [wish.pool, wish.desired]));

  it("is every size that an operator decides", () => {
    expect(sizes(desired(), desired())).toEqual({ gateway: 2, worker: 3 });
  });

  it("is no size that the load decides, unless the operator has changed or named it", () => {
    expect(sizes(automatic, automatic)).toEqual({ gateway: 2, worker: null });
    expect(sizes(automatic, { ...automatic, workers: 4 })).toEqual({ gateway: 2, worker: 4 });
    const named = { ...order, sizes: ["worker"] as const };
    expect(sizeWishes(automatic, automatic, named).map((wish) => wish.desired)).toEqual([2, 3]);
  });
});

describe("policies in files and orders", () => {
  it("of an older release have the defaults", () => {
    const { scaling: _, ...older } = desired();
    expect(desiredSchema.parse(older)).toEqual(desired());
    const part = { ...older, scaling: { gateway: {}, worker: { auto: true } } };
    expect(desiredSchema.parse(part)).toEqual(automatic);
  });

  it("change nothing that they do not name", () => {
    expect(policyChangeSchema.parse({ max: 3 })).toEqual({ max: 3 });
  });
});
