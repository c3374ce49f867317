import {
  type Color,
  paintOf,
  figure,
  greatest,
  least,
  legend,
  MARGIN,
  px,
  rule,
  svg,
  textAt,
} from "./drawing.ts";
import { escapeHtml, html, type Html } from "./html.ts";
import { formatNumber, linearScale, logScale, type Scale } from "./scale.ts";

/** A value at a time; `y` null is a hole in the line. */
export interface Point {
  readonly x: number;
  readonly y: number | null;
}

export interface Series {
  readonly name: string;
  /** In the order of `x`. */
  readonly points: readonly Point[];
  /** The baseline's, drawn behind the others. */
  readonly dashed?: boolean;
  /** Fills what lies under the line. */
  readonly area?: boolean;
  /** One of the eight colours (0 to 7), or a tone; by default the series' own number. */
  readonly color?: Color;
}

/** A stretch of time with a name: a fault, a phase of the load. */
export interface Band {
  readonly from: number;
  readonly to: number;
  readonly label: string;
  readonly color?: Color;
}

/** A moment with a name: a kill, a reconnect. */
export interface Marker {
  readonly at: number;
  readonly label: string;
  readonly color?: Color;
}

/** A value that is not to be exceeded, as a line across. */
export interface Target {
  readonly value: number;
  readonly label: string;
}

export interface LineChart {
  readonly title: string;
  readonly note?: string;
  readonly series: readonly Series[];
  readonly bands?: readonly Band[];
  readonly markers?: readonly Marker[];
  readonly targets?: readonly Target[];
  /** How a value reads, with its unit: also the labels of the axis. */
  readonly format?: (y: number) => string;
  readonly formatX?: (x: number) => string;
  /** What the axis below counts. Default: seconds since the start. */
  readonly xLabel?: string;
  /** For times that differ by orders of magnitude. */
  readonly logarithmic?: boolean;
  /** Ends of the axis below; by default those of the points. Charts of one run should share them. */
  readonly xRange?: readonly [number, number];
  /** The least upper end of the axis at the left: keeps a quiet line from looking wild. */
  readonly yAtLeast?: number;
  /** In units of the drawing, which is as wide as its place. */
  readonly width?: number;
  readonly height?: number;
}

/** More columns than that and each would be narrower than a pointer. */
const HOVERS_MAX = 240;

/** A chart of one or more values over time. Without a single point it says so instead of drawing an empty frame. */
export function lineChart(chart: LineChart): Html {
  const { width = 560, height = 230, format = formatNumber, formatX = formatNumber } = chart;
  const values = chart.series.flatMap(({ points }) => points.flatMap(({ y }) => (y === null ? [] : [y])));
  if (values.length === 0) return figure(chart, html`<p class="note">No values were recorded.</p>`);
  const xs = chart.series.flatMap(({ points }) => points.map(({ x }) => x));
  const range = chart.xRange ?? [least(xs), greatest(xs)];
  const targets = chart.targets ?? [];
  // A target far above everything would press the lines flat; it is then told in the legend only.
  const peak = Math.max(greatest(values), chart.yAtLeast ?? 0);
  const shown = targets.filter(({ value }) => value <= peak * (chart.logarithmic ? 30 : 2.5));
  const top = Math.max(peak, ...shown.map(({ value }) => value));
  const x = linearScale(range, [MARGIN.left, width - MARGIN.right], { pieces: 8, exact: true });
  const vertical = [height - MARGIN.bottom, MARGIN.top] as const;
  const positive = values.filter((value) => value > 0);
  const y = chart.logarithmic
    ? logScale([positive.length === 0 ? 1 : least(positive), top], vertical)
    : linearScale([0, top], vertical);
  const drawing = [
    ...(chart.bands ?? []).map((band) => bandOf(band, x, range, vertical)),
    ...frame(x, y, { width, height, format, formatX, xLabel: chart.xLabel ?? "seconds since the start" }),
    ...shown.map((target) => targetOf(target, y, width)),
    // What is compared with lies behind what is compared.
    ...chart.series.map((series, n) => (series.dashed ? seriesOf(series, n, x, y) : "")),
    ...chart.series.map((series, n) => (series.dashed ? "" : seriesOf(series, n, x, y))),
    ...(chart.markers ?? []).map((marker) => markerOf(marker, x, range, vertical)),
    ...hovers(chart, x, vertical, format, formatX),
  ];
  return figure(
    chart,
    svg(width, height, chart.title, drawing),
    legend([
      ...chart.series.map((series, n) => ({ ...series, color: series.color ?? n })),
      ...targets.map(({ label }) => ({ name: label, color: "bad" as const, dashed: true })),
      ...(chart.bands ?? []).map(({ label, color }) => ({
        name: label,
        color: color ?? "warn",
        block: true,
      })),
    ]),
  );
}

function frame(
  x: Scale,
  y: Scale,
  axes: {
    readonly width: number;
    readonly height: number;
    readonly format: (y: number) => string;
    readonly formatX: (x: number) => string;
    readonly xLabel: string;
  },
): string[] {
  const { width, height, format, formatX, xLabel } = axes;
  const bottom = height - MARGIN.bottom;
  return [
    ...y.ticks.map(
      (tick) => rule(y.at(tick), width) + textAt(MARGIN.left - 6, y.at(tick) + 4, format(tick), "end"),
    ),
    `<line class="axis" x1="${MARGIN.left}" x2="${width - MARGIN.right}" y1="${bottom}" y2="${bottom}"/>`,
    ...x.ticks.map((tick) => textAt(x.at(tick), bottom + 14, formatX(tick), "middle")),
    textAt((MARGIN.left + width - MARGIN.right) / 2, height - 3, xLabel, "middle"),
  ];
}

function seriesOf(series: Series, number: number, x: Scale, y: Scale): string {
  const paint = paintOf(series.color ?? number);
  const bottom = px(y.at(y.ticks[0] ?? 0));
  return unbroken(series.points)
    .map((points) => {
      const path = points
        .map((point, n) => `${n === 0 ? "M" : "L"}${px(x.at(point.x))} ${px(y.at(point.y))}`)
        .join("");
      const [first, last] = [points[0], points.at(-1)];
      if (first === undefined || last === undefined) return "";
      // A lone value between two holes is no line: it is shown as a dot.
      if (points.length === 1) {
        return `<circle cx="${px(x.at(first.x))}" cy="${px(y.at(first.y))}" r="2" style="fill:${paint}"/>`;
      }
      const area = `<path class="area" style="fill:${paint}" d="${path}L${px(x.at(last.x))} ${bottom}L${px(x.at(first.x))} ${bottom}Z"/>`;
      const line = `<path class="series${series.dashed ? " dashed" : ""}" style="stroke:${paint}" d="${path}"/>`;
      return (series.area ? area : "") + line;
    })
    .join("");
}

/** The pieces between holes. */
function unbroken(points: readonly Point[]): { readonly x: number; readonly y: number }[][] {
  const pieces: { x: number; y: number }[][] = [[]];
  for (const { x, y } of points) {
    if (y !== null) pieces.at(-1)?.push({ x, y });
    else if (pieces.at(-1)?.length !== 0) pieces.push([]);
  }
  return pieces.filter((piece) => piece.length > 0);
}

type Range = readonly [number, number];

function bandOf({ from, to, label, color }: Band, x: Scale, [min, max]: Range, [bottom, top]: Range): string {
  const left = x.at(Math.max(from, min));
  const right = x.at(Math.min(Math.max(to, from), max));
  if (right < left) return "";
  // A band of no length was a moment: it stays visible.
  return `<rect class="band" x="${px(left)}" y="${px(top)}" width="${px(Math.max(right - left, 1.5))}" height="${px(bottom - top)}" style="fill:${paintOf(color ?? "warn")}"><title>${escapeHtml(label)}</title></rect>`;
}

function markerOf({ at, label, color }: Marker, x: Scale, [min, max]: Range, [bottom, top]: Range): string {
  if (at < min || at > max) return "";
  const line = `x1="${px(x.at(at))}" x2="${px(x.at(at))}" y1="${px(top)}" y2="${px(bottom)}"`;
  return `<g><line class="marker" style="stroke:${paintOf(color ?? "bad")}" ${line}/>${textAt(x.at(at) + 3, top + 8, label, "start")}<title>${escapeHtml(label)}</title></g>`;
}

const targetOf = ({ value, label }: Target, y: Scale, width: number): string =>
  `<line class="target" x1="${MARGIN.left}" x2="${width - MARGIN.right}" y1="${px(y.at(value))}" y2="${px(y.at(value))}"/><text class="target" x="${width - MARGIN.right}" y="${px(y.at(value) - 4)}" text-anchor="end">${escapeHtml(label)}</text>`;

/** Invisible columns that tell all values of their moment to a pointer: the reader of a report has no script. */
function hovers(
  { series }: LineChart,
  x: Scale,
  [bottom, top]: Range,
  format: (y: number) => string,
  formatX: (x: number) => string,
): string[] {
  const moments = [...new Set(series.flatMap(({ points }) => points.map((point) => point.x)))].sort(
    (a, b) => a - b,
  );
  if (moments.length > HOVERS_MAX) return [];
  const values = series.map(({ name, points }) => ({
    name,
    at: new Map(points.map((point) => [point.x, point.y])),
  }));
  return moments.map((moment, n) => {
    const left = x.at(n === 0 ? moment : (moment + (moments[n - 1] ?? moment)) / 2);
    const right = x.at(n === moments.length - 1 ? moment : (moment + (moments[n + 1] ?? moment)) / 2);
    const lines = values.flatMap(({ name, at }) => {
      const value = at.get(moment);
      return value === null || value === undefined ? [] : [`${name}: ${format(value)}`];
    });
    const text = escapeHtml([`at ${formatX(moment)}`, ...lines].join("\n"));
    return `<rect class="hover" x="${px(left)}" y="${px(top)}" width="${px(right - left)}" height="${px(bottom - top)}"><title>${text}</title></rect>`;
  });
}
