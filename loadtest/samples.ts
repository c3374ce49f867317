import { METRIC_PREFIX, type TrendName } from "./threshold.ts";

/** One line of k6's JSON output that is about us. */
export interface Sample {
  /** Without the prefix. */
  readonly metric: string;
  /** Wall clock, milliseconds. */
  readonly at: number;
  readonly value: number;
  readonly tags: Readonly<Record<string, string>>;
}

const OURS = `{"metric":"${METRIC_PREFIX}`;

/** Most lines are k6's own metrics: they are told by their beginning and not parsed. Null for those. */
export function parseSample(line: string): Sample | null {
  if (!line.startsWith(OURS)) return null;
  const { metric, data } = JSON.parse(line) as {
    metric: string;
    data: { time: string; value: number; tags?: Record<string, string> };
  };
  const at = Date.parse(data.time);
  return { metric: metric.slice(METRIC_PREFIX.length), at, value: data.value, tags: data.tags ?? {} };
}

/** What happened in one second. */
export interface Second {
  readonly times: Map<TrendName, number[]>;
  readonly timesByClass: Map<string, number[]>;
  sent: number;
  ended: number;
  requests: number;
  readonly errors: { client: number; overload: number; unplanned: number };
}

/** Times that are drawn apart for each class. */
const BY_CLASS: readonly string[] = ["queue_wait", "end_to_end"];

/** Key of `timesByClass`. */
export const classKey = (metric: string, group: string): string => `${metric} ${group}`;

/** Everything that was measured, second by second, and the errors by reason. It keeps numbers only, no lines. */
export class Samples {
  /** Wall clock of the first message; null until one was sent. */
  loadBeganAt: number | null = null;
  readonly reasons = new Map<string, { kind: string; op: string; reason: string; count: number }>();
  /** Sent but not ended, as far as has been heard. */
  underWay = 0;
  private readonly bySecond = new Map<number, Second>();
  private readonly phaseTimes = new Map<string, { from: number; to: number }>();

  add(sample: Sample): void {
    const { metric, value, tags } = sample;
    const second = this.second(Math.floor(sample.at / 1_000));
    switch (metric) {
      case "sent":
        second.sent += value;
        this.underWay += value;
        return this.notePhase(sample);
      case "ended":
        second.ended += value;
        this.underWay -= value;
        return;
      case "requests":
        second.requests += value;
        return;
      case "errors":
        return this.noteError(second, sample);
      case "clients":
        return;
      default: {
        push(second.times, metric as TrendName, value);
        if (BY_CLASS.includes(metric))
          push(second.timesByClass, classKey(metric, tags["class"] ?? ""), value);
      }
    }
  }

  /** Seconds from the first sample to the last, empty ones included. */
  seconds(): { readonly at: number; readonly second: Second }[] {
    const known = [...this.bySecond.keys()];
    if (known.length === 0) return [];
    const first = known.reduce((a, b) => Math.min(a, b));
    const last = known.reduce((a, b) => Math.max(a, b));
    return Array.from({ length: last - first + 1 }, (_, n) => ({
      at: first + n,
      second: this.bySecond.get(first + n) ?? emptySecond(),
    }));
  }

  /** The phases in their order, by the messages that were sent in them; wall clock in milliseconds. */
  phases(): { readonly name: string; readonly from: number; readonly to: number }[] {
    return [...this.phaseTimes].map(([name, times]) => ({ name, ...times })).sort((a, b) => a.from - b.from);
  }

  private second(at: number): Second {
    const known = this.bySecond.get(at);
    if (known !== undefined) return known;
    const made = emptySecond();
    this.bySecond.set(at, made);
    return made;
  }

  private notePhase({ at, tags }: Sample): void {
    this.loadBeganAt = Math.min(this.loadBeganAt ?? at, at);
    const name = tags["phase"] ?? "";
    const known = this.phaseTimes.get(name) ?? { from: at, to: at };
    this.phaseTimes.set(name, { from: Math.min(known.from, at), to: Math.max(known.to, at) });
  }

  private noteError(second: Second, { value, tags }: Sample): void {
    const { kind = "unplanned", op = "", reason = "" } = tags;
    if (kind === "client" || kind === "overload" || kind === "unplanned") second.errors[kind] += value;
    if (op === "send") this.underWay -= value;
    const key = `${kind} ${op} ${reason}`;
    const known = this.reasons.get(key) ?? { kind, op, reason, count: 0 };
    known.count += value;
    this.reasons.set(key, known);
  }
}

const emptySecond = (): Second => ({
  times: new Map(),
  timesByClass: new Map(),
  sent: 0,
  ended: 0,
  requests: 0,
  errors: { client: 0, overload: 0, unplanned: 0 },
});

function push<Key>(into: Map<Key, number[]>, key: Key, value: number): void {
  const values = into.get(key);
  if (values === undefined) into.set(key, [value]);
  else values.push(value);
}

/** Of values in any order, by the nearest rank; null of none. */
export function quantile(values: readonly number[], share: number): number | null {
  if (values.length === 0) return null;
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))] ?? null;
}
