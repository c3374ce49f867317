import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { DEFAULT_SCALING, type ScalingPolicy } from "../../core/scaling.ts";
import { planScale } from "./plan-scale.ts";
import type { PoolObservation } from "./pool-observation.ts";

/**
 * What the leader of a real deployment observed of its workers, once a second, while two people talked and eighteen
 * more for a while (cli/e2e/autoscaling.e2e.test.ts; `scaling.observed` in the log of control-1 at level debug).
 */
const RECORDED = readFileSync(new URL("./fixtures/burst.jsonl", import.meta.url), "utf8")
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line) as PoolObservation);

const POLICY: ScalingPolicy = {
  ...DEFAULT_SCALING,
  auto: true,
  min: 1,
  max: 4,
  growAfterMs: 1_000,
  cooldownMs: 2_000,
  shrinkAfterMs: 8_000,
};

/** Every decision on the recorded observations, each with the sizes that were recorded. */
function replay(policy: ScalingPolicy) {
  const decided: { at: number; from: number; to: number; reason: string }[] = [];
  for (const [n, { at, size }] of RECORDED.entries()) {
    const changedAt = decided.at(-1)?.at ?? null;
    const observations = RECORDED.slice(0, n + 1);
    const { size: to, reason } = planScale("worker", policy, { observations, changedAt });
    if (to !== size) decided.push({ at, from: size, to, reason });
  }
  return decided;
}

describe("planScale on a recorded curve", () => {
  it("decides as the leader did then: up twice, down twice, each with its reason", () => {
    const decided = replay(POLICY);
    expect(decided.map(({ from, to, reason }) => `${from} to ${to}: ${reason}`)).toEqual([
      "1 to 2: 4 sessions running and 1 waiting, for 4 slots a worker",
      "2 to 4: 4 sessions running and 16 waiting, for 4 slots a worker",
      "4 to 2: no more was needed for 8 s: 2 sessions running and 0 waiting, for 4 slots a worker",
      "2 to 1: no more was needed for 8 s: 2 sessions running and 0 waiting, for 4 slots a worker",
    ]);
    const pauses = decided.slice(1).map(({ at }, n) => at - (decided[n]?.at ?? 0));
    expect(pauses[0]).toBeGreaterThanOrEqual(POLICY.cooldownMs);
    for (const pause of pauses.slice(1)) expect(pause).toBeGreaterThanOrEqual(POLICY.shrinkAfterMs);
  });

  it("would not have shrunk within the recording with a longer memory", () => {
    const decided = replay({ ...POLICY, shrinkAfterMs: 60_000 });
    expect(decided.every(({ from, to }) => to > from)).toBe(true);
  });
});
