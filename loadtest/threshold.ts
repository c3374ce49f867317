/** What a script measures, by the names of loadtest/k6/lib/metrics.ts without their prefix. */
export type TrendName =
  | "ack"
  | "first_delta"
  | "end_to_end"
  | "queue_wait"
  | "reconnect_gap"
  | "history"
  | "abort"
  | "connect"
  | "lag";

export const METRIC_PREFIX = "oc_";

/** Which samples of a metric are meant; what is absent is not asked for. */
export interface Selector {
  readonly class?: string;
  readonly phase?: string;
  readonly kind?: string;
}

/** The name by which k6 keeps a metric or a part of it apart. */
export function metricKey(name: string, { class: group, phase, kind }: Selector = {}): string {
  const tags = Object.entries({ class: group, phase, kind }).filter(([, value]) => value !== undefined);
  const part = tags.length === 0 ? "" : `{${tags.map(([tag, value]) => `${tag}:${value}`).join(",")}}`;
  return METRIC_PREFIX + name + part;
}

/** One thing that must hold for a run to pass. */
export type Threshold =
  | {
      readonly kind: "time";
      readonly name: string;
      readonly metric: TrendName;
      readonly stat: "p50" | "p95" | "p99" | "max";
      readonly of: Selector;
      readonly maxMs: number;
    }
  /** Failures of a kind among all requests. */
  | {
      readonly kind: "share";
      readonly name: string;
      readonly errors: "client" | "unplanned";
      readonly max: number;
    }
  /** One part of the run beside another: at most so many times as much, or up to the floor. */
  | {
      readonly kind: "ratio";
      readonly name: string;
      readonly metric: TrendName;
      readonly stat: "p50" | "p95" | "p99";
      readonly of: Selector;
      readonly against: Selector;
      readonly maxTimes: number;
      readonly floorMs: number;
    };

/** A threshold with what was measured. */
export interface ThresholdResult {
  readonly name: string;
  readonly ok: boolean;
  /** Null where nothing was measured; such a threshold is missed. */
  readonly actual: number | null;
  /** The most that is allowed. */
  readonly target: number;
  readonly unit: "ms" | "share";
}

/** Parts of metrics that a threshold looks at: k6 keeps only those apart that it was told of before. */
export function metricsOf(threshold: Threshold): string[] {
  switch (threshold.kind) {
    case "time":
      return [metricKey(threshold.metric, threshold.of)];
    case "share":
      return [metricKey("errors", { kind: threshold.errors })];
    case "ratio":
      return [metricKey(threshold.metric, threshold.of), metricKey(threshold.metric, threshold.against)];
    default:
      return threshold satisfies never;
  }
}
