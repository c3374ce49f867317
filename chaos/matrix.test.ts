import { describe, expect, it } from "vitest";
import { chooseScenarios } from "./choose-scenarios.ts";
import type { FaultKind } from "./faults/fault.ts";
import { cellsOf, deploymentOf, FULL_RUNS, matrixScenarios } from "./matrix.ts";
import type { Scenario } from "./scenario.ts";
import { SCENARIOS } from "./scenarios/index.ts";
import type { Capability } from "./targets/target.ts";

const kindsOf = (scenarios: readonly Scenario[]): Set<FaultKind> =>
  new Set(scenarios.flatMap(({ faults }) => faults.map(({ fault }) => fault.kind)));
const subjectsOf = (scenarios: readonly Scenario[]): Set<string> =>
  new Set(
    scenarios.flatMap(({ faults }) => faults.map(({ fault }) => ("subject" in fault ? fault.subject : ""))),
  );

/** What a target must be able to do for a fault of that kind; null where every target can. */
const NEEDED: Readonly<Record<FaultKind, Capability | null>> = {
  signal: "signal",
  pause: "signal",
  flush: null,
  latency: "network",
  rate: "network",
  "black-hole": "network",
  reset: "network",
  "slow-close": "network",
  "disk-full": "disk-full",
  "clock-skew": "clock-skew",
  "cpu-starvation": "cpu",
  "memory-limit": "memory",
  model: null,
  "rolling-restart": "rolling-restart",
  "reconnect-storm": null,
};

describe("the scenarios", () => {
  it("have names of their own, a claim in one sentence, and faults within their time", () => {
    expect(new Set(SCENARIOS.map(({ name }) => name)).size).toBe(SCENARIOS.length);
    for (const { claim, durationMs, faults } of SCENARIOS) {
      expect(claim).toMatch(/^[A-Z].*\.$/);
      for (const { atMs } of faults) expect(atMs).toBeLessThan(durationMs);
    }
  });

  it("do every kind of fault there is", () => {
    expect([...kindsOf(SCENARIOS)].toSorted()).toEqual(Object.keys(NEEDED).toSorted());
  });

  it("ask for the capabilities that their faults need", () => {
    for (const { faults, name, needs, topology } of SCENARIOS) {
      const wanted = faults.map(({ fault }) => NEEDED[fault.kind]);
      expect([name, ...wanted.filter((need) => need !== null && !needs.includes(need))]).toEqual([name]);
      expect([name, wanted.includes("network") ? topology.wiring : "proxied"]).toEqual([name, "proxied"]);
    }
  });
});

describe("the matrices", () => {
  it("break every process and every store in the short one", () => {
    const subjects = subjectsOf(matrixScenarios("short"));
    for (const subject of "holder any-gateway control-1 supervisor postgres redis nats s3".split(" ")) {
      expect(subjects).toContain(subject);
    }
  });

  it("have at least 40 cells of 20 runs in the full one", () => {
    const scenarios = matrixScenarios("full");
    expect(scenarios.length).toBeGreaterThanOrEqual(40);
    expect(cellsOf(scenarios, FULL_RUNS, 1)).toHaveLength(scenarios.length * 20);
  });

  it("bring what can share a deployment together, and give every scenario the same seeds", () => {
    const cells = cellsOf(matrixScenarios("full"), 2, 7);
    const changes = cells.filter(
      ({ scenario }, i) => deploymentOf(scenario) !== deploymentOf(cells[i - 1]?.scenario ?? scenario),
    );
    expect(changes.length + 1).toBe(new Set(cells.map(({ scenario }) => deploymentOf(scenario))).size);
    expect(cells.slice(0, 2).map(({ seed }) => seed)).toEqual([7, 8]);
  });
});

describe("a scenario that is named wrong", () => {
  it("is refused with the nearest name and the list", () => {
    expect(() => chooseScenarios(["redis-flush"])).toThrow(
      expect.objectContaining({
        code: "REQUEST_INVALID",
        details: expect.objectContaining({ nearest: "redis-flushed" }) as unknown,
      }) as Error,
    );
  });
});
