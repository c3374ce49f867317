import { describe, expect, it } from "vitest";
import { findLimit } from "./limit.ts";
import { progressLine } from "./progress.ts";
import { parseSample, quantile, Samples } from "./samples.ts";
import { seriesOf } from "./series.ts";

const BEGAN = Date.UTC(2026, 0, 1);

const line = (metric: string, second: number, value: number, tags: Record<string, string> = {}): string =>
  JSON.stringify({
    metric,
    type: "Point",
    data: {
      time: new Date(BEGAN + second * 1_000).toISOString(),
      value,
      tags: { class: "users", phase: "steady", ...tags },
    },
  });

function samplesOf(...lines: string[]): Samples {
  const samples = new Samples();
  for (const text of lines) {
    const sample = parseSample(text);
    if (sample !== null) samples.add(sample);
  }
  return samples;
}

describe("k6's output", () => {
  it("is read where it is about our metrics, and skipped where it is about k6's own", () => {
    expect(parseSample(line("oc_ack", 1.5, 12))).toEqual({
      metric: "ack",
      at: BEGAN + 1_500,
      value: 12,
      tags: { class: "users", phase: "steady" },
    });
    expect(parseSample(line("vus", 0, 3))).toBeNull();
    expect(parseSample('{"type":"Metric","data":{"name":"oc_ack"},"metric":"oc_ack"}')).toBeNull();
    expect(parseSample("")).toBeNull();
  });
});

describe("samples", () => {
  const samples = samplesOf(
    line("oc_connect", -2, 5),
    line("oc_sent", 0, 1, { phase: "before" }),
    line("oc_sent", 3, 1, { phase: "burst" }),
    line("oc_sent", 3, 1, { phase: "burst" }),
    line("oc_ack", 3, 10),
    line("oc_ack", 3, 30),
    line("oc_ended", 4, 1),
    line("oc_queue_wait", 4, 7, { class: "quiet" }),
    line("oc_errors", 4, 1, { kind: "unplanned", op: "send", reason: "no-end" }),
    line("oc_errors", 4, 1, { kind: "overload", op: "history", reason: "busy" }),
    line("oc_errors", 4, 1, { kind: "overload", op: "history", reason: "busy" }),
  );

  it("count what is under way: sent, and neither ended nor failed", () => {
    expect(samples.underWay).toBe(1);
  });

  it("count failures by reason", () => {
    expect([...samples.reasons.values()]).toEqual([
      { kind: "unplanned", op: "send", reason: "no-end", count: 1 },
      { kind: "overload", op: "history", reason: "busy", count: 2 },
    ]);
  });

  it("become series that begin with the first message, with holes where nothing was", () => {
    const series = seriesOf(samples, ["users", "quiet"], null);
    expect(series.at).toEqual([0, 1, 2, 3, 4]);
    expect(series.sentPerSecond).toEqual([1, 0, 0, 2, 0]);
    expect(series.p50["ack"]).toEqual([null, null, null, 10, null]);
    expect(series.p99["ack"]).toEqual([null, null, null, 30, null]);
    expect(series.p99ByClass["queue_wait quiet"]).toEqual([null, null, null, null, 7]);
    expect(series.errorsPerSecond.overload).toEqual([0, 0, 0, 0, 2]);
    expect(series.phases).toEqual([
      { name: "before", from: 0, to: 0 },
      { name: "burst", from: 3, to: 3 },
    ]);
  });

  it("of a long run are drawn in fewer points, as rates per second still", () => {
    const long = samplesOf(...Array.from({ length: 1_000 }, (_, second) => line("oc_sent", second, 2)));
    const series = seriesOf(long, [], null);
    expect(series.every).toBe(5);
    expect(series.at).toHaveLength(200);
    expect(new Set(series.sentPerSecond)).toEqual(new Set([2]));
  });

  it("are told in one line while they come", () => {
    expect(progressLine(new Samples(), 10, BEGAN)).toBeNull();
    const text = progressLine(samples, 10, BEGAN + 5_000);
    expect(text).toContain("5/10 s  burst  0.6 sent/s  0.2 ended/s  1 under way  ack p99 30 ms");
    expect(text).toContain("errors client 0, overload 2, unplanned 1");
    expect(progressLine(samples, 4, BEGAN + 5_000)).toContain("waiting for the last answers");
  });
});

describe("a quantile", () => {
  it("is the nearest rank", () => {
    const values = Array.from({ length: 100 }, (_, n) => 100 - n);
    expect([0, 0.5, 0.95, 0.99, 1].map((share) => quantile(values, share))).toEqual([1, 50, 95, 99, 100]);
    expect(quantile([], 0.5)).toBeNull();
  });
});

describe("the limit", () => {
  const ramp = (...more: string[]) =>
    samplesOf(
      ...Array.from({ length: 20 }, (_, second) =>
        Array.from({ length: (Math.floor(second / 5) + 1) * 10 }, () => line("oc_sent", second, 1)),
      ).flat(),
      ...more,
    )
      .seconds()
      .map(({ second }) => second);
  const shape = { modelMs: 250 };

  it("is the highest rate before a promise broke for good, with what broke", () => {
    expect(findLimit(ramp(line("oc_ack", 12, 400), line("oc_ack", 17, 500)), shape)).toEqual({
      messagesPerSecond: 20,
      because: "acknowledgement p99 400 ms, promised 250 ms",
    });
    expect(findLimit(ramp(line("oc_end_to_end", 7, 1_800), line("oc_ack", 12, 400)), shape)).toMatchObject({
      messagesPerSecond: 10,
      because: expect.stringContaining("end to end"),
    });
    const refused = line("oc_errors", 17, 1, { kind: "overload", op: "send", reason: "busy" });
    expect(findLimit(ramp(refused), shape)).toEqual({
      messagesPerSecond: 30,
      because: "1 refusals for overload",
    });
  });

  it("is not where the machine had a hiccup", () => {
    expect(findLimit(ramp(line("oc_ack", 7, 400)), shape)).toEqual({ messagesPerSecond: 40, because: null });
  });

  it("says when it was the generator that could not", () => {
    const late = ramp(line("oc_lag", 12, 700), line("oc_ack", 12, 900), line("oc_lag", 17, 700));
    expect(findLimit(late, shape).because).toContain("generator");
  });

  it("is open where nothing broke", () => {
    expect(findLimit(ramp(), shape)).toEqual({ messagesPerSecond: 40, because: null });
  });
});
