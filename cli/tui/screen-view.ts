import { Box, Text } from "ink";
import type { DeploymentView } from "../../server/supervisor/view.ts";
import { queueText } from "../status-text.ts";
import { clip, printable } from "../text-table.ts";
import { h } from "./h.ts";
import { allotRows, tableLine, windowStart } from "./layout.ts";
import { detailLines, type Detail } from "./detail.ts";
import { cursorOf, type Mode, type ScreenState } from "./screen-state.ts";
import type { Section, Tone } from "./sections.ts";
import type { Snapshot } from "./use-snapshot.ts";

export interface ScreenProps {
  readonly snapshot: Snapshot | null;
  readonly sections: readonly Section[];
  readonly state: ScreenState;
  /** What an open run or log shows. */
  readonly detail: Detail;
  /** What was done last, or goes wrong. */
  readonly message: string | null;
  /** How this ends, said where nothing else is. */
  readonly footer: string;
  readonly columns: number;
  readonly rows: number;
  readonly color: boolean;
}

/** One line of the screen. */
interface Line {
  readonly text: string;
  readonly color?: string | undefined;
  readonly bold?: boolean;
  readonly inverse?: boolean;
  readonly dim?: boolean;
}

const TONE_COLORS: Readonly<Record<Tone, string | undefined>> = {
  good: "green",
  busy: "yellow",
  bad: "red",
  plain: undefined,
};

/** The screen of `status --watch` and `up --foreground` at one moment: exactly `rows` lines, none wider than `columns`. */
export function ScreenView(props: ScreenProps) {
  const lines = screenLines(props).slice(0, props.rows);
  return h(
    Box,
    { flexDirection: "column", height: props.rows },
    ...lines.map(({ bold, color, dim, inverse, text }, n) =>
      h(
        Text,
        {
          key: n,
          wrap: "truncate",
          bold: bold === true,
          inverse: inverse === true,
          dimColor: props.color && dim === true,
          ...(props.color && color !== undefined ? { color } : {}),
        },
        text === "" ? " " : clip(text, props.columns),
      ),
    ),
  );
}

function screenLines(props: ScreenProps): Line[] {
  const { detail, rows, snapshot, state } = props;
  if (snapshot === null) return [{ text: "looking…", dim: true }];
  const head = headLines(snapshot);
  const foot = [footLine(props)];
  const room = rows - head.length - foot.length;
  const { mode } = state;
  if (mode.kind === "help")
    return [
      ...head,
      ...filled(
        HELP.map((text) => ({ text })),
        room,
      ),
      ...foot,
    ];
  if (mode.kind === "run" || mode.kind === "logs") {
    return [...head, ...detailScreen(mode, detail, room, props.columns), ...foot];
  }
  return [...head, ...filled(listLines(props, room), room), ...foot];
}

function headLines({ at, problem, view }: Snapshot): Line[] {
  const { failure, gateway, name, phase, stores, supervisor, topology } = view;
  const keeper = supervisor.pid === null ? "no supervisor" : `supervisor ${supervisor.pid}`;
  const clock = new Date(at).toISOString().slice(11, 19);
  const lines: Line[] = [
    {
      text: `${name} (${topology})  ${phase}  ${gateway?.url ?? "no address yet"}  ${keeper}  ${clock} UTC`,
      bold: true,
      color: phase === "ready" ? "green" : phase === "degraded" ? "red" : "yellow",
    },
    {
      text: Object.entries(stores).map(storeText).join("  "),
      color: Object.values(stores).every(({ healthy }) => healthy) ? undefined : "red",
    },
    { text: `${poolsText(view)}${queueText(view.queue)}`, dim: view.queue.stale === true },
  ];
  if (failure !== undefined) {
    lines.push({ text: `last change failed: ${printable(failure.message)}`, color: "red" });
  }
  if (problem !== null) {
    lines.push({ text: `this picture is old: ${printable(problem)}`, color: "red" });
  }
  return lines;
}

function storeText([name, { healthy, lagMs, latencyMs }]: [
  string,
  DeploymentView["stores"][string],
]): string {
  if (!healthy) return `${name} DOWN`;
  const lag = lagMs === undefined ? "" : `, ${lagMs} ms behind`;
  return `${name} ${latencyMs === undefined ? "up" : `${latencyMs} ms`}${lag}`;
}

function poolsText({ scaling }: DeploymentView): string {
  if (scaling === undefined) return "";
  return Object.entries(scaling.pools)
    .map(
      ([pool, { auto, current, desired, max, min }]) =>
        `${pool} ${current}/${desired}${auto ? ` auto ${min}-${max}` : ""}  `,
    )
    .join("");
}

function listLines({ columns, sections, state }: ScreenProps, room: number): Line[] {
  // A title for each, and the names of the columns where the cursor is.
  const needs = sections.map(({ rows }) => Math.max(1, rows.length));
  const allotted = allotRows(needs, state.focus, room - sections.length - 1);
  return sections.flatMap((section, place) => {
    const focused = place === state.focus;
    const shown = allotted[place] ?? 0;
    const cursor = cursorOf(state, place, section);
    const start = windowStart(section.rows.length, shown, focused ? cursor : 0);
    const rows = section.rows.slice(start, start + shown).map((row, n): Line => ({
      text: `${focused && start + n === cursor ? ">" : " "} ${tableLine(section.columns, row.cells, columns - 2)}`,
      color: TONE_COLORS[row.tone],
      inverse: focused && start + n === cursor,
    }));
    const titles = tableLine(
      section.columns,
      section.columns.map(({ title }) => title),
      columns - 2,
    );
    const none: Line[] =
      shown > 0 && rows.length === 0 ? [{ text: `  ${noneText(section)}`, dim: true }] : [];
    return [
      { text: titleText(section, place, focused), bold: true },
      ...(focused ? [{ text: `  ${titles}`, dim: true }] : []),
      ...none,
      ...rows,
    ];
  });
}

const noneText = ({ empty, total }: Section): string =>
  total === 0 ? empty : "the filter hides all of them";

function titleText({ rows, title, total }: Section, place: number, focused: boolean): string {
  const count = rows.length === total ? String(total) : `${rows.length} of ${total}`;
  return `${focused ? "▾" : "▸"} ${place + 1} ${title} (${count})`;
}

function detailScreen(
  mode: Extract<Mode, { readonly back: number }>,
  detail: Detail,
  room: number,
  columns: number,
): Line[] {
  const { title, lines } = detailLines(mode, detail, columns);
  const shown = Math.max(1, room - 1);
  const end = Math.max(Math.min(shown, lines.length), lines.length - mode.back);
  const body = lines.slice(Math.max(0, end - shown), end).map((text): Line => ({ text }));
  const position = end < lines.length ? `  (${lines.length - end} lines below)` : "";
  return filled([{ text: title + position, bold: true }, ...body], room);
}

function filled(lines: readonly Line[], room: number): Line[] {
  const shown = lines.slice(0, room);
  return [...shown, ...Array.from({ length: Math.max(0, room - shown.length) }, () => ({ text: "" }))];
}

/** Keys that count now, short enough for 80 columns. */
function footLine({ footer, message, state }: ScreenProps): Line {
  const { filter, mode } = state;
  switch (mode.kind) {
    case "filter":
      return { text: `filter (words, tenant:T, session:S): ${mode.typed}▏`, bold: true };
    case "scale":
      return { text: `scale (gateway=N worker=N): ${mode.typed}▏  Enter: next  Esc: leave it`, bold: true };
    case "confirm":
      return { text: `${mode.question}  y: yes, other keys: no`, bold: true };
    case "help":
      return { text: "any key: back", dim: true };
    case "run":
      return { text: message ?? "↑↓ scroll  l logs of this run  Esc back", dim: message === null };
    case "logs":
      return { text: message ?? "↑↓ scroll  Esc back", dim: message === null };
    case "browse": {
      const filtered = filter === "" ? "" : `filter: ${filter} (Esc clears)  `;
      const keys = "Tab ↑↓ Enter open  / filter  d drain  s scale  l logs  ? help  ";
      return { text: message ?? `${filtered}${keys}${footer}`, dim: message === null };
    }
    default:
      return mode satisfies never;
  }
}

const HELP = [
  "",
  "  Tab, 1-5        the next list, or one by its number",
  "  ↑ ↓ PgUp PgDn   move, also j and k, g and G for the ends",
  "  Enter           open the run, or the log of the instance, under the cursor",
  "  /               filter all lists: words, tenant:acme, session:notes",
  "  Esc             clear the filter, or go back",
  "  d               drain the instance under the cursor (asks)",
  "  s               change the size of a pool (asks)",
  "  l               logs: of the instance or run under the cursor, or of everything",
  "  q, Ctrl-C       leave",
  "",
  "  LOOP is the share of time in which the event loop is busy: near 100% an instance is late.",
  "  A lane that waits while nothing of it runs is red: no worker serves its pool, or all are full.",
];
