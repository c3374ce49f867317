import { html, raw, type Html, type Tone } from "./html.ts";

export interface Page {
  readonly title: string;
  /** One sentence under the title. */
  readonly summary: string;
  readonly verdict: { readonly text: string; readonly tone: Tone };
  readonly body: readonly Html[];
  /** What made the report, when, where, and the command to run it again. */
  readonly footer: Html;
}

/** A whole report as one file: no script, no font, no picture and no style from anywhere else. */
export const page = ({ title, summary, verdict, body, footer }: Page): string =>
  `<!doctype html>\n${
    html`<html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title}</title>
        <style>
          ${raw(STYLE)}
        </style>
      </head>
      <body>
        <header>
          <h1>${title} <span class="badge ${verdict.tone}">${verdict.text}</span></h1>
          <p>${summary}</p>
        </header>
        <main>${body}</main>
        <footer>${footer}</footer>
      </body>
    </html>`.markup
  }\n`;

export const section = (title: string, note: Html | string | null, ...body: readonly Html[]): Html =>
  html`<section>
    <h2>${title}</h2>
    ${note === null ? null : html`<p class="note">${note}</p>`} ${body}
  </section>`;

export interface Tile {
  readonly label: string;
  readonly value: string;
  /** Small print: the target, or what the figure was in the baseline. */
  readonly note?: string;
  readonly tone?: Tone;
}

/** The few figures that a reader came for. */
export const tiles = (all: readonly Tile[]): Html =>
  html`<div class="tiles">
    ${all.map(
      ({ label, value, note, tone }) =>
        html`<div class="tile ${tone ?? ""}">
          <span class="label">${label}</span><span class="value">${value}</span>
          ${note === undefined ? null : html`<span class="note">${note}</span>`}
        </div>`,
    )}
  </div>`;

/** Figures side by side where the window is wide enough. */
export const grid = (...figures: readonly Html[]): Html => html`<div class="grid">${figures}</div>`;

// The series' colours are those of Okabe and Ito, which people who see colours differently can tell apart.
const STYLE = `
:root { --ink: #1b1f24; --soft: #5b6470; --line: #d8dde3; --paper: #fff; --panel: #f6f8fa;
  --good: #1a7f37; --warn: #9a6700; --bad: #cf222e; --muted: #6e7781;
  --c0: #0072b2; --c1: #d55e00; --c2: #009e73; --c3: #cc79a7; --c4: #e69f00; --c5: #56b4e9; --c6: #6b4fa0; --c7: #7f7f7f }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --soft: #9aa4af; --line: #343b44; --paper: #0f1318; --panel: #171c23;
    --good: #3fb950; --warn: #d29922; --bad: #f85149; --muted: #8b949e; --c0: #4aa8e0; --c6: #a58be0; --c7: #a0a0a0 } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 1180px; padding: 28px 24px 48px; color: var(--ink); background: var(--paper);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif }
h1 { font-size: 26px; line-height: 1.25; margin: 0 0 4px } h2 { font-size: 18px; margin: 36px 0 6px }
h3 { font-size: 14px; margin: 0 0 2px } header p { margin: 0; color: var(--soft); max-width: 90ch }
.note { color: var(--soft); font-size: 13px; margin: 0 0 10px; max-width: 100ch }
.badge { display: inline-block; vertical-align: 3px; margin-left: 8px; padding: 1px 12px; border-radius: 12px;
  color: #fff; background: var(--muted); font-size: 14px; letter-spacing: .03em }
.badge.good { background: var(--good) } .badge.warn { background: var(--warn) } .badge.bad { background: var(--bad) }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 10px; margin-top: 18px }
.tile { padding: 10px 14px; border: 1px solid var(--line); border-left: 4px solid var(--line); border-radius: 6px; background: var(--panel) }
.tile.good { border-left-color: var(--good) } .tile.warn { border-left-color: var(--warn) } .tile.bad { border-left-color: var(--bad) }
.tile span { display: block } .tile .label { color: var(--soft); font-size: 12px } .tile .value { font-size: 22px; font-weight: 600; line-height: 1.3 }
.tile .note { margin: 0; font-size: 12px }
.grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 520px), 1fr)); gap: 18px 22px; align-items: start }
figure { margin: 10px 0 0 } figcaption { font-weight: 600; font-size: 14px } figcaption .note { font-weight: 400; margin: 0 }
svg { display: block; width: 100%; height: auto; overflow: visible; font: 11px system-ui, "DejaVu Sans", sans-serif }
svg text { fill: var(--soft) } svg .ruled { stroke: var(--line); stroke-width: 1 } svg .axis { stroke: var(--soft); stroke-width: 1 }
svg .series { fill: none; stroke-width: 1.8; stroke-linejoin: round } svg .dashed { stroke-dasharray: 5 4; stroke-width: 1.4 }
svg .area { stroke: none; opacity: .16 } svg .target { stroke: var(--bad); stroke-width: 1; stroke-dasharray: 2 3 } svg text.target { fill: var(--bad); stroke: none }
svg .band { opacity: .13 } svg .marker { stroke-width: 1.2; stroke-dasharray: 3 2 } svg .hover { fill: transparent } svg .hover:hover { fill: var(--soft); opacity: .14 }
.legend { display: flex; flex-wrap: wrap; gap: 2px 16px; font-size: 12px; color: var(--soft); margin: 2px 0 0 }
.legend i { display: inline-block; width: 16px; height: 0; border-top: 3px solid; vertical-align: 3px; margin-right: 5px }
.legend i.dashed { border-top-style: dashed; border-top-width: 2px } .legend i.block { height: 9px; border: 0; vertical-align: 0; opacity: .35 }
.scroll { overflow-x: auto } table { border-collapse: collapse; margin: 8px 0 0; font-size: 14px; min-width: 50% }
th, td { text-align: left; padding: 5px 14px 5px 0; border-bottom: 1px solid var(--line); vertical-align: top }
th { font-size: 12px; color: var(--soft); font-weight: 600; white-space: nowrap } td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
td.good, tr.good .state { color: var(--good) } td.warn, tr.warn .state { color: var(--warn) } td.bad, tr.bad .state { color: var(--bad); font-weight: 600 } td.muted { color: var(--muted) }
code { font: 13px ui-monospace, "SF Mono", Menlo, "DejaVu Sans Mono", monospace; background: var(--panel); padding: 1px 4px; border-radius: 4px; overflow-wrap: anywhere }
footer { margin-top: 40px; padding-top: 12px; border-top: 1px solid var(--line); color: var(--soft); font-size: 13px }
@media print { body { max-width: none; padding: 0 } section { break-inside: avoid } }
`;
