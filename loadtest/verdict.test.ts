import { describe, expect, it } from "vitest";
import type { Threshold } from "./threshold.ts";
import { countOf, judge, type K6Summary, parseSummary, percentilesOf } from "./verdict.ts";

const trend = (count: number, p99: number) => ({
  values: { count, min: 1, med: p99 / 4, "p(95)": p99 / 2, "p(99)": p99, max: p99 * 2 },
});

const summary: K6Summary = {
  metrics: {
    oc_ack: trend(100, 80.456),
    "oc_ack{class:quiet,phase:noise}": trend(50, 40),
    "oc_queue_wait{phase:before}": trend(20, 100),
    "oc_queue_wait{phase:after}": trend(20, 190),
    // What k6 makes of a metric that nobody added to.
    oc_history: { values: { count: 0, min: 0, med: 0, "p(95)": 0, "p(99)": 0, max: 0 } },
    oc_requests: { values: { count: 1_000, rate: 10 } },
    oc_errors: { values: { count: 3, rate: 0.1 } },
    "oc_errors{kind:unplanned}": { values: { count: 2, rate: 0.1 } },
    "oc_errors{kind:client}": { values: { count: 0, rate: 0 } },
  },
};

const time = (metric: "ack" | "history", maxMs: number, of = {}): Threshold => ({
  kind: "time",
  name: metric,
  metric,
  stat: "p99",
  of,
  maxMs,
});
const share = (errors: "unplanned" | "client", max: number): Threshold => ({
  kind: "share",
  name: errors,
  errors,
  max,
});
const ratio = (maxTimes: number, floorMs: number): Threshold => ({
  kind: "ratio",
  name: "ratio",
  metric: "queue_wait",
  stat: "p99",
  of: { phase: "after" },
  against: { phase: "before" },
  maxTimes,
  floorMs,
});

describe("thresholds", () => {
  it.each([
    ["a time below what is allowed", time("ack", 100), true, 80.5],
    ["a time above", time("ack", 80), false, 80.5],
    ["a time of one class in one phase", time("ack", 50, { class: "quiet", phase: "noise" }), true, 40],
    ["a share below", share("unplanned", 0.002), true, 0.002],
    ["a share above", share("unplanned", 0.001), false, 0.002],
    ["a share of nothing", share("client", 0), true, 0],
    ["a part that is within its ratio", ratio(2, 0), true, 190],
    ["a part that is beyond it", ratio(1.5, 0), false, 190],
    ["a part that is beyond it, but below the floor", ratio(1.5, 200), true, 190],
  ])("%s", (_what, threshold, ok, actual) => {
    expect(judge(summary, [threshold])).toMatchObject([{ ok, actual }]);
  });

  it("are missed where nothing was measured: silence is no success", () => {
    const silent: K6Summary = { metrics: {} };
    expect(judge(summary, [time("history", 100), time("ack", 100, { class: "nobody" })])).toMatchObject([
      { ok: false, actual: null },
      { ok: false, actual: null },
    ]);
    expect(judge(silent, [time("ack", 100), share("unplanned", 1), ratio(2, 100)])).toMatchObject([
      { ok: false, actual: null },
      { ok: false, actual: null },
      { ok: false, actual: null },
    ]);
  });
});

describe("a summary", () => {
  it("gives percentiles to a tenth of a millisecond, and null of what was not measured", () => {
    expect(percentilesOf(summary, "ack")).toEqual({ p50: 20.1, p95: 40.2, p99: 80.5, max: 160.9 });
    expect(percentilesOf(summary, "history")).toEqual({ p50: null, p95: null, p99: null, max: null });
    expect(countOf(summary, "errors", { kind: "unplanned" })).toBe(2);
    expect(countOf(summary, "clients")).toBe(0);
  });

  it("that is no summary is refused", () => {
    for (const text of ["", "{", "[]", '{"metrics":{"x":1}}']) {
      expect(() => parseSummary(text)).toThrow("cannot be read");
    }
    expect(parseSummary(JSON.stringify(summary)).metrics["oc_ack"]).toBeDefined();
  });
});
