import { describe, expect, it } from "vitest";
import { totalSeconds } from "./k6/lib/schedule.ts";
import { DEFAULT_PROFILE, PROFILES } from "./profiles.ts";
import { SLOS } from "./slos.ts";
import type { Selector, Threshold } from "./threshold.ts";

const selectorsOf = (threshold: Threshold): Selector[] => {
  if (threshold.kind === "share") return [];
  return threshold.kind === "ratio" ? [threshold.of, threshold.against] : [threshold.of];
};

describe("profiles", () => {
  it("are those that people were promised", () => {
    expect(PROFILES.map(({ name }) => name)).toEqual([
      "smoke",
      "steady",
      "burst",
      "ramp-to-limit",
      "soak",
      "reconnect-storm",
      "many-tenants",
      "big-messages",
      "idle-sockets",
    ]);
    expect(PROFILES.map(({ name }) => name)).toContain(DEFAULT_PROFILE);
  });

  it("burst goes to ten times its normal rate in five seconds, and back", () => {
    const stages = PROFILES.find(({ name }) => name === "burst")?.groups[0]?.stages ?? [];
    const rise = stages.find(({ from, to }) => to > from);
    expect((rise?.to ?? 0) / (rise?.from ?? 1)).toBe(10);
    expect(rise?.seconds).toBe(5);
    expect(stages.at(-1)?.to).toBe(stages[0]?.from);
  });

  describe.each(PROFILES)("$name", (profile) => {
    it("has clients, time and a rate that --rate can scale", () => {
      expect(profile.rate).toBeGreaterThan(0);
      expect(profile.claim).toMatch(/^[A-Z].*\.$/);
      for (const { clients, clientsPerVu, stages, mix } of profile.groups) {
        expect(clients).toBeGreaterThan(0);
        expect(clientsPerVu).toBeGreaterThan(0);
        expect(mix.history + mix.abort).toBeLessThanOrEqual(1);
        for (const { seconds, from, to } of stages) {
          expect(seconds).toBeGreaterThan(0);
          expect(Math.min(from, to)).toBeGreaterThanOrEqual(0);
        }
      }
      const first = profile.groups.reduce((sum, { stages }) => sum + (stages[0]?.from ?? 0), 0);
      expect(first).toBeCloseTo(profile.rate);
    });

    it("has groups of different names that run for the same time", () => {
      expect(new Set(profile.groups.map(({ name }) => name)).size).toBe(profile.groups.length);
      expect(new Set(profile.groups.map(({ stages }) => totalSeconds(stages))).size).toBe(1);
      expect(profile.groups.map(({ name }) => name)).not.toContain("probe");
    });

    it("asks in its thresholds for classes and phases that it has", () => {
      const classes = [undefined, ...profile.groups.map(({ name }) => name)];
      const phases = [undefined, ...profile.groups.flatMap(({ stages }) => stages.map(({ phase }) => phase))];
      for (const { class: group, phase } of profile.thresholds.flatMap(selectorsOf)) {
        expect(classes).toContain(group);
        expect(phases).toContain(phase);
      }
    });

    it("allows no more unplanned failures than the availability promise, and no fault of its own", () => {
      const shares = profile.thresholds.filter((threshold) => threshold.kind === "share");
      expect(shares).toMatchObject([
        { errors: "unplanned", max: SLOS.unplannedShare },
        { errors: "client", max: 0 },
      ]);
    });

    it("names each threshold once", () => {
      const names = profile.thresholds.map(({ name }) => name);
      expect(new Set(names).size).toBe(names.length);
    });
  });
});
