import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { isHAError } from "../server/core/errors.ts";
import { totalSeconds } from "./k6/lib/schedule.ts";
import { K6_MODULE } from "./k6-program.ts";
import { nearestName } from "../server/core/nearest-name.ts";
import { findProfile, planOf, scaled, tenantsOf } from "./plan.ts";
import { PROFILES } from "./profiles.ts";
import { metricsOf } from "./threshold.ts";

const NAMES = PROFILES.map(({ name }) => name);

const thrownBy = (work: () => unknown): unknown => {
  try {
    return work();
  } catch (error) {
    return error;
  }
};

describe("an unknown profile", () => {
  it("is answered with the list and the name that was probably meant", () => {
    const error = thrownBy(() => findProfile("stedy"));
    expect(isHAError(error, "REQUEST_INVALID")).toBe(true);
    expect(error).toMatchObject({
      details: { profiles: NAMES, hint: expect.stringMatching(/did you mean steady\?.*idle-sockets/) },
    });
  });

  it("is answered with the list alone where nothing is near", () => {
    const error = thrownBy(() => findProfile("xyzzyplugh"));
    expect(error).toMatchObject({ details: { hint: expect.not.stringContaining("did you mean") } });
  });

  it.each([
    ["brust", "burst"],
    ["SMOKE", "smoke"],
    ["soakk", "soak"],
    ["reconnect", "reconnect-storm"],
    ["many-tenant", "many-tenants"],
    ["", null],
    ["s", null],
  ])("%j is taken for %j", (typed, meant) => {
    expect(nearestName(typed, NAMES)).toBe(meant);
  });
});

describe("a profile at another size", () => {
  const burst = findProfile("burst");

  it("keeps the proportions of its stages in time and rate", () => {
    const stages = scaled(burst, { durationMs: 40_000, rate: 2 * burst.rate }).groups[0]?.stages ?? [];
    expect(totalSeconds(stages)).toBeCloseTo(40);
    expect(stages.map(({ from, to }) => [from, to])).toEqual([
      [10, 10],
      [10, 100],
      [100, 100],
      [10, 10],
      [10, 10],
    ]);
    expect(stages[0]?.seconds).toBeCloseTo(10);
  });

  it("deals clients out to its groups as before, and leaves none without", () => {
    const groups = scaled(findProfile("idle-sockets"), { clients: 101 }).groups;
    expect(groups.map(({ name, clients }) => [name, clients])).toEqual([
      ["idle", 100],
      ["active", 1],
    ]);
    expect(thrownBy(() => scaled(findProfile("idle-sockets"), { clients: 1 }))).toMatchObject({
      code: "REQUEST_INVALID",
    });
  });

  it("is the same profile where nothing is asked for", () => {
    expect(scaled(burst, {})).toEqual(burst);
  });
});

describe("a plan", () => {
  const profile = findProfile("many-tenants");
  const tenants = Array.from({ length: tenantsOf(profile) }, (_, n) => ({
    id: `t${n}`,
    url: "ws://x",
    token: `k${n}`,
  }));
  const plan = planOf(profile, tenants, { seed: "s", probeUrl: "http://x", summaryFile: "/tmp/s" });

  it("gives each group tenants of its own", () => {
    expect(plan.groups.map((group) => group.tenants)).toEqual([[0, 1, 2, 3, 4, 5, 6, 7], [8]]);
  });

  it("has k6 keep apart every part of a metric that a threshold looks at", () => {
    const kept = Object.keys(plan.options["thresholds"] as Record<string, unknown>);
    expect(kept).toEqual(expect.arrayContaining(profile.thresholds.flatMap(metricsOf)));
  });

  it("has VUs enough for all clients, and time enough for the load and what follows it", () => {
    const scenarios = plan.options["scenarios"] as Record<string, { vus?: number; maxDuration?: string }>;
    for (const { name, clients, clientsPerVu } of plan.groups) {
      expect((scenarios[name]?.vus ?? 0) * clientsPerVu).toBeGreaterThanOrEqual(clients);
      expect(Number.parseInt(scenarios[name]?.maxDuration ?? "0")).toBeGreaterThan(60 + profile.drainSeconds);
    }
    expect(scenarios["probe"]).toBeDefined();
    const { options } = planOf(profile, tenants, { seed: "s", probeUrl: null, summaryFile: "/tmp/s" });
    expect(options["scenarios"]).not.toHaveProperty("probe");
  });
});

describe("k6", () => {
  it("is one release, for tests and users", () => {
    const script = readFileSync(new URL("../bin/test", import.meta.url), "utf8");
    expect(script).toContain(`from_go k6 ${K6_MODULE}`);
  });
});
