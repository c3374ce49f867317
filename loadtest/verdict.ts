import { z } from "zod";
import { HAError } from "../server/core/errors.ts";
import {
  metricKey,
  type Selector,
  type Threshold,
  type ThresholdResult,
  type TrendName,
} from "./threshold.ts";

/** Milliseconds; all null where nothing was measured. */
export interface Percentiles {
  readonly p50: number | null;
  readonly p95: number | null;
  readonly p99: number | null;
  readonly max: number | null;
}

/** What k6 hands over at the end of a test (`handleSummary`), as far as it is read. */
const summarySchema = z.looseObject({
  metrics: z.record(z.string(), z.looseObject({ values: z.record(z.string(), z.number()) })),
});
export type K6Summary = z.infer<typeof summarySchema>;

/** @throws HAError INTERNAL for anything that is no summary of k6's */
export function parseSummary(text: string): K6Summary {
  const parsed = summarySchema.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  throw new HAError("INTERNAL", "k6 wrote a summary that cannot be read", {
    hint: "is it the version that `openclaw-ha loadtest --install` builds?",
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** k6's name of each statistic. */
const STATS = { p50: "med", p95: "p(95)", p99: "p(99)", max: "max" } as const;
type Stat = keyof typeof STATS;

/** One statistic; null where nothing was measured: k6 answers 0 then. */
function statOf(summary: K6Summary, key: string, stat: Stat): number | null {
  const values = summary.metrics[key]?.values;
  if (values === undefined || (values["count"] ?? 0) === 0) return null;
  return rounded(values[STATS[stat]] ?? 0);
}

/** A tenth of a millisecond is finer than the generator's clock. */
const rounded = (ms: number): number => Math.round(ms * 10) / 10;

export function percentilesOf(summary: K6Summary, metric: TrendName, of: Selector = {}): Percentiles {
  const key = metricKey(metric, of);
  const stat = (name: Stat): number | null => statOf(summary, key, name);
  return { p50: stat("p50"), p95: stat("p95"), p99: stat("p99"), max: stat("max") };
}

export const countOf = (summary: K6Summary, name: string, of: Selector = {}): number =>
  summary.metrics[metricKey(name, of)]?.values["count"] ?? 0;

/** How the thresholds stand. One about something of which nothing was measured is missed: silence is no success. */
export const judge = (summary: K6Summary, thresholds: readonly Threshold[]): ThresholdResult[] =>
  thresholds.map((threshold) => {
    const { name } = threshold;
    switch (threshold.kind) {
      case "time": {
        const actual = statOf(summary, metricKey(threshold.metric, threshold.of), threshold.stat);
        return result(name, actual, threshold.maxMs, "ms");
      }
      case "share": {
        const requests = countOf(summary, "requests");
        const share = countOf(summary, "errors", { kind: threshold.errors }) / requests;
        return result(name, requests === 0 ? null : share, threshold.max, "share");
      }
      case "ratio": {
        const { metric, stat } = threshold;
        const actual = statOf(summary, metricKey(metric, threshold.of), stat);
        const before = statOf(summary, metricKey(metric, threshold.against), stat);
        if (before === null) return result(name, null, threshold.floorMs, "ms");
        return result(name, actual, Math.max(threshold.floorMs, rounded(before * threshold.maxTimes)), "ms");
      }
      default:
        return threshold satisfies never;
    }
  });

const result = (
  name: string,
  actual: number | null,
  target: number,
  unit: ThresholdResult["unit"],
): ThresholdResult => ({ name, ok: actual !== null && actual <= target, actual, target, unit });
