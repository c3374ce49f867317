import type { ReportParts } from "../load-report.ts";
import { modelMs } from "../k6/lib/plan.ts";
import type { Profile } from "../profiles.ts";
import type { Band, Point, Series, Target } from "../report/chart.ts";
import { lineChart } from "../report/chart.ts";
import { html, type Html } from "../report/html.ts";
import { grid, section } from "../report/page.ts";
import { formatMs, formatNumber } from "../report/scale.ts";
import type { RunSeries, Values } from "../series.ts";
import type { TrendName } from "../threshold.ts";

/** A value for each moment as points; beyond the end of either there is nothing. */
export const pointsOf = (at: readonly number[], values: Values): Point[] =>
  at.map((x, n) => ({ x, y: values[n] ?? null }));

/** The phases as bands; a run of one phase needs none. */
const bandsOf = ({ phases }: RunSeries): Band[] =>
  phases.length < 2
    ? []
    : phases.map(({ name, from, to }, n) => ({ from, to, label: name, color: PHASE_COLORS[n % 4] }));
const PHASE_COLORS = [7, "warn", 5, 2] as const;

/** All charts of a run share their axis. */
export const rangeOf = ({ at }: RunSeries): readonly [number, number] => [
  Math.min(0, at[0] ?? 0),
  Math.max(1, at.at(-1) ?? 1),
];

const CHARTS: readonly { readonly metric: TrendName; readonly title: string }[] = [
  { metric: "ack", title: "Acknowledgement" },
  { metric: "queue_wait", title: "Queue wait" },
  { metric: "first_delta", title: "First delta" },
  { metric: "end_to_end", title: "End to end" },
  { metric: "reconnect_gap", title: "Reconnect gap" },
];

/** What was promised of a metric to a class, or to all together; the strictest where there are several. */
function promised({ thresholds }: Profile, metric: string, of: string | undefined): Target[] {
  const allowed = thresholds.flatMap((one) =>
    one.kind === "time" && one.metric === metric && one.of.class === of ? [one.maxMs] : [],
  );
  if (allowed.length === 0) return [];
  const value = Math.min(...allowed);
  return [{ value, label: `promised${of === undefined ? "" : ` to ${of}`} p99 ≤ ${formatMs(value)}` }];
}

/** The part of a time that is the model's own. */
function modelsOwn({ groups }: Profile, metric: TrendName): Target[] {
  if (metric !== "end_to_end" && metric !== "first_delta") return [];
  const active = groups.filter(({ stages }) => stages.some(({ from, to }) => from + to > 0));
  const value = Math.min(
    ...active.map(({ message }) => (metric === "end_to_end" ? modelMs(message) : message.latencyMs)),
  );
  return [{ value, label: `the model alone ${formatMs(value)}`, color: "muted" }];
}

export function latencySection({ profile, series, baseline }: ReportParts): Html {
  const measured = CHARTS.filter(({ metric }) => series.p99[metric]?.some((value) => value !== null));
  const charts = measured.map(({ metric, title }) => {
    const before = baseline?.series;
    const lines: Series[] = [
      { name: "p50", points: pointsOf(series.at, series.p50[metric] ?? []) },
      { name: "p99", points: pointsOf(series.at, series.p99[metric] ?? []) },
      ...(before?.p99[metric] === undefined
        ? []
        : [
            {
              name: "p99 of the baseline",
              dashed: true,
              color: 7,
              points: pointsOf(before.at, before.p99[metric]),
            },
          ]),
    ];
    return lineChart({
      title,
      series: lines,
      bands: bandsOf(series),
      targets: [...promised(profile, metric, undefined), ...modelsOwn(profile, metric)],
      format: formatMs,
      logarithmic: true,
      xRange: rangeOf(series),
    });
  });
  const byClass = classCharts(profile, series);
  const every = series.every === 1 ? "each second" : `each ${series.every} s`;
  return section(
    "Latency through time",
    `Percentiles of the messages that got there in ${every}, on a logarithmic scale.`,
    grid(...charts, ...byClass),
  );
}

/** The same, class beside class; nothing where there is one only. */
function classCharts(profile: Profile, series: RunSeries): Html[] {
  return [
    ["queue_wait", "Queue wait p99 by class"] as const,
    ["end_to_end", "End to end p99 by class"] as const,
  ].flatMap(([metric, title]) => {
    const classes = Object.entries(series.p99ByClass)
      .filter(([key, values]) => key.startsWith(`${metric} `) && values.some((value) => value !== null))
      .map(([key, values]) => ({ name: key.slice(metric.length + 1), points: pointsOf(series.at, values) }));
    if (classes.length < 2) return [];
    const shared = { bands: bandsOf(series), format: formatMs, logarithmic: true, xRange: rangeOf(series) };
    const targets = classes.flatMap(({ name }) => promised(profile, metric, name));
    return [lineChart({ title, series: classes, targets, ...shared })];
  });
}

export function rateSection({ series, baseline }: ReportParts): Html {
  const perSecond = (value: number): string => `${formatNumber(value)}/s`;
  const shared = { bands: bandsOf(series), xRange: rangeOf(series), format: perSecond };
  const before = baseline?.series;
  const messages = lineChart({
    title: "Messages",
    note: "sent: due in this second; ended: answered, or aborted as asked",
    series: [
      { name: "sent", area: true, points: pointsOf(series.at, series.sentPerSecond) },
      { name: "ended", points: pointsOf(series.at, series.endedPerSecond) },
      ...(before === undefined
        ? []
        : [
            {
              name: "sent in the baseline",
              dashed: true,
              color: 7,
              points: pointsOf(before.at, before.sentPerSecond),
            },
          ]),
    ],
    ...shared,
  });
  const { client, overload, unplanned } = series.errorsPerSecond;
  const failed = [...client, ...overload, ...unplanned].some((value) => (value ?? 0) > 0);
  const errors = failed
    ? lineChart({
        title: "Failures",
        series: [
          { name: "unplanned", color: "bad", area: true, points: pointsOf(series.at, unplanned) },
          { name: "overload refusals", color: "warn", points: pointsOf(series.at, overload) },
          { name: "client faults", color: "muted", points: pointsOf(series.at, client) },
        ],
        ...shared,
      })
    : html``;
  return section("Rate through time", null, grid(messages, errors));
}
