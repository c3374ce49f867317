import { escapeHtml, html, raw, type Html, type Tone } from "./html.ts";

/** Room around the plot, in units of the drawing. */
export const MARGIN = { top: 14, right: 14, bottom: 32, left: 62 };

/** One of the eight colours of series, or one that says something. */
export type Color = number | Tone;

export const paintOf = (of: Color): string => (typeof of === "number" ? `var(--c${of % 8})` : `var(--${of})`);

export const figure = (
  { title, note }: { readonly title: string; readonly note?: string },
  ...content: Html[]
): Html =>
  html`<figure>
    <figcaption>${title}${note === undefined ? null : html`<div class="note">${note}</div>`}</figcaption>
    ${content}
  </figure>`;

export const svg = (width: number, height: number, title: string, drawing: readonly string[]): Html =>
  raw(
    `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeHtml(title)}">${drawing.join("")}</svg>`,
  );

export interface LegendEntry {
  readonly name: string;
  readonly color: Color;
  readonly dashed?: boolean;
  readonly block?: boolean;
}

export function legend(entries: readonly LegendEntry[]): Html {
  const seen = new Set<string>();
  const once = entries.filter(({ name }) => name !== "" && !seen.has(name) && seen.add(name));
  return html`<div class="legend">
    ${once.map(
      (entry) =>
        html`<span
          ><i
            class="${entry.dashed ? "dashed" : ""} ${entry.block ? "block" : ""}"
            style="${entry.block ? "background" : "border-color"}:${paintOf(entry.color)}"
          ></i
          >${entry.name}</span
        >`,
    )}
  </div>`;
}

export const rule = (y: number, width: number): string =>
  `<line class="ruled" x1="${MARGIN.left}" x2="${width - MARGIN.right}" y1="${px(y)}" y2="${px(y)}"/>`;

export const textAt = (x: number, y: number, text: string, anchor: "start" | "middle" | "end"): string =>
  `<text x="${px(x)}" y="${px(y)}" text-anchor="${anchor}">${escapeHtml(text)}</text>`;

/** A tenth of a unit is finer than any screen. */
export const px = (value: number): string => String(Math.round(value * 10) / 10);

export const least = (values: readonly number[]): number =>
  values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
export const greatest = (values: readonly number[]): number =>
  values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
