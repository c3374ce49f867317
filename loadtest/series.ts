import { classKey, quantile, type Samples, type Second } from "./samples.ts";
import type { TrendName } from "./threshold.ts";

/** A value for each moment of `at`; null where there was none. */
export type Values = readonly (number | null)[];

/** A run through time, small enough to be kept: what the charts draw, of this run and of the one it is compared with. */
export interface RunSeries {
  /** Seconds since the first message, of the beginnings of the intervals. */
  readonly at: readonly number[];
  /** Length of an interval in seconds. */
  readonly every: number;
  readonly phases: readonly { readonly name: string; readonly from: number; readonly to: number }[];
  readonly sentPerSecond: Values;
  readonly endedPerSecond: Values;
  readonly errorsPerSecond: {
    readonly client: Values;
    readonly overload: Values;
    readonly unplanned: Values;
  };
  readonly p50: Readonly<Record<string, Values>>;
  readonly p99: Readonly<Record<string, Values>>;
  /** p99 by `metric class`. */
  readonly p99ByClass: Readonly<Record<string, Values>>;
  /** Cores in use, by side; null where the deployment's processes are not ours to see. */
  readonly cores: {
    readonly at: readonly number[];
    readonly generator: Values;
    readonly deployment: Values | null;
    readonly machine: Values;
  } | null;
}

/** More points than that are more than a chart can show. */
const POINTS_MAX = 240;
const DRAWN: readonly TrendName[] = [
  "ack",
  "first_delta",
  "end_to_end",
  "queue_wait",
  "reconnect_gap",
  "lag",
];

/** @param cores drawn over the same axis; they were measured by wall clock as well */
export function seriesOf(samples: Samples, groups: readonly string[], cores: RunSeries["cores"]): RunSeries {
  const began = (samples.loadBeganAt ?? 0) / 1_000;
  // Clients that connect are not the load.
  const seconds = samples.seconds().filter(({ at }) => at >= Math.floor(began));
  const every = Math.max(1, Math.ceil(seconds.length / POINTS_MAX));
  const intervals: { readonly at: number; readonly parts: Second[] }[] = [];
  for (let n = 0; n < seconds.length; n += every) {
    const slice = seconds.slice(n, n + every);
    intervals.push({ at: (slice[0]?.at ?? 0) - Math.floor(began), parts: slice.map(({ second }) => second) });
  }
  const sum = (count: (second: Second) => number): Values =>
    intervals.map(({ parts }) => parts.reduce((total, part) => total + count(part), 0) / parts.length);
  const times = (share: number, pick: (second: Second) => readonly number[] | undefined): Values =>
    intervals.map(({ parts }) =>
      quantile(
        parts.flatMap((part) => pick(part) ?? []),
        share,
      ),
    );
  const each = (share: number): Record<string, Values> =>
    Object.fromEntries(DRAWN.map((metric) => [metric, times(share, ({ times: all }) => all.get(metric))]));
  const keys = groups.flatMap((group) =>
    ["queue_wait", "end_to_end"].map((metric) => classKey(metric, group)),
  );
  return {
    at: intervals.map(({ at }) => at),
    every,
    phases: samples
      .phases()
      .map(({ name, from, to }) => ({ name, from: from / 1_000 - began, to: to / 1_000 - began })),
    sentPerSecond: sum(({ sent }) => sent),
    endedPerSecond: sum(({ ended }) => ended),
    errorsPerSecond: {
      client: sum(({ errors }) => errors.client),
      overload: sum(({ errors }) => errors.overload),
      unplanned: sum(({ errors }) => errors.unplanned),
    },
    p50: each(0.5),
    p99: each(0.99),
    p99ByClass: Object.fromEntries(
      keys.map((key) => [key, times(0.99, ({ timesByClass }) => timesByClass.get(key))]),
    ),
    cores: cores === null ? null : { ...cores, at: cores.at.map((at) => at - began) },
  };
}
