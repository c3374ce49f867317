import { paintOf, figure, greatest, MARGIN, px, rule, svg, textAt } from "./drawing.ts";
import { escapeHtml, html, type Html, type Tone } from "./html.ts";
import { formatNumber, linearScale } from "./scale.ts";

export interface Histogram {
  readonly title: string;
  readonly note?: string;
  /** Bars from left to right; their widths are equal, whatever spans they stand for. */
  readonly bars: readonly { readonly label: string; readonly count: number; readonly tone?: Tone }[];
  /** What the bars count. */
  readonly xLabel?: string;
  readonly width?: number;
  readonly height?: number;
}

/** How many there are of each: one bar a class. */
export function histogram(chart: Histogram): Html {
  const { bars, width = 560, height = 230 } = chart;
  if (bars.every(({ count }) => count === 0))
    return figure(chart, html`<p class="note">Nothing to count.</p>`);
  const vertical = [height - MARGIN.bottom, MARGIN.top] as const;
  const y = linearScale([0, greatest(bars.map(({ count }) => count))], vertical);
  const slot = (width - MARGIN.left - MARGIN.right) / bars.length;
  // Labels that would run into each other are left out in equal steps.
  const every = Math.ceil((greatest(bars.map(({ label }) => label.length)) * 6 + 6) / slot);
  const drawing = bars.flatMap(({ label, count, tone }, n) => {
    const left = MARGIN.left + n * slot;
    const top = y.at(count);
    const bar = `<rect x="${px(left + slot * 0.08)}" y="${px(top)}" width="${px(slot * 0.84)}" height="${px(vertical[0] - top)}" style="fill:${paintOf(tone ?? 0)}"><title>${escapeHtml(`${label}: ${formatNumber(count)}`)}</title></rect>`;
    const text = n % every === 0 ? textAt(left + slot / 2, vertical[0] + 14, label, "middle") : "";
    return [bar, text];
  });
  const lines = y.ticks.map(
    (tick) => rule(y.at(tick), width) + textAt(MARGIN.left - 6, y.at(tick) + 4, formatNumber(tick), "end"),
  );
  const axis = chart.xLabel === undefined ? "" : textAt(width / 2, height - 3, chart.xLabel, "middle");
  return figure(chart, svg(width, height, chart.title, [...lines, ...drawing, axis]));
}
