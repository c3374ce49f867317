import { describe, expect, it } from "vitest";
import type { Stage } from "./plan.ts";
import { schedule, uniform } from "./schedule.ts";

const STAGES: readonly Stage[] = [
  { phase: "before", seconds: 100, from: 5, to: 5 },
  { phase: "rise", seconds: 100, from: 5, to: 50 },
  { phase: "silence", seconds: 50, from: 0, to: 0 },
  { phase: "after", seconds: 100, from: 50, to: 0 },
];

const allOf = (stages: readonly Stage[], clients: number) =>
  Array.from({ length: clients }, (_, n) => [...schedule(stages, clients, `client-${n}`)]).flat();

describe("a schedule", () => {
  const due = allOf(STAGES, 20);
  const between = (from: number, to: number): number =>
    due.filter(({ atMs }) => atMs >= from * 1_000 && atMs < to * 1_000).length;

  it("sends what the rates add up to, over all clients", () => {
    expect(between(0, 100)).toBeGreaterThan(430);
    expect(between(0, 100)).toBeLessThan(570);
    expect(between(100, 200)).toBeGreaterThan(2_600);
    expect(between(100, 200)).toBeLessThan(2_900);
  });

  it("follows a rate that changes, and is silent where it is nothing", () => {
    // The area under a line from 5 to 50: 812.5 in its first half, 1,937.5 in its second.
    expect(between(150, 200) / between(100, 150)).toBeGreaterThan(2.1);
    expect(between(150, 200) / between(100, 150)).toBeLessThan(2.7);
    expect(between(200, 250)).toBe(0);
    expect(between(250, 300)).toBeGreaterThan(between(300, 350) * 2.4);
  });

  it("grows with each message, stays in its time and says the phase", () => {
    const one = [...schedule(STAGES, 20, "one")];
    for (const [n, { atMs, phase }] of one.entries()) {
      expect(atMs).toBeGreaterThan(n === 0 ? 0 : (one[n - 1]?.atMs ?? 0));
      const [began, ended] = { before: [0, 100], rise: [100, 200], after: [250, 350] }[phase] ?? [];
      expect(atMs / 1_000).toBeGreaterThanOrEqual(began ?? Infinity);
      expect(atMs / 1_000).toBeLessThanOrEqual(ended ?? 0);
    }
  });

  it("is the same again for the same seed, and another one for another", () => {
    expect([...schedule(STAGES, 20, "a")]).toEqual([...schedule(STAGES, 20, "a")]);
    expect([...schedule(STAGES, 20, "a")]).not.toEqual([...schedule(STAGES, 20, "b")]);
  });

  it("has gaps as independent people make them: their spread is as large as their mean", () => {
    const sorted = allOf([{ phase: "p", seconds: 1_000, from: 10, to: 10 }], 5)
      .map(({ atMs }) => atMs)
      .toSorted((a, b) => a - b);
    const gaps = sorted.slice(1).map((at, n) => at - (sorted[n] ?? 0));
    const mean = gaps.reduce((a, b) => a + b, 0) / gaps.length;
    const spread = Math.sqrt(gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / gaps.length);
    expect(spread / mean).toBeGreaterThan(0.9);
    expect(spread / mean).toBeLessThan(1.1);
  });
});

describe("chance from a text", () => {
  it("is spread evenly over 0 to 1", () => {
    const random = uniform("seed");
    const tenths = Array.from({ length: 10 }, () => 0);
    for (let n = 0; n < 10_000; n++) {
      const tenth = Math.floor(random() * 10);
      tenths[tenth] = (tenths[tenth] ?? 0) + 1;
    }
    for (const count of tenths) expect(Math.abs(count - 1_000)).toBeLessThan(130);
  });
});
