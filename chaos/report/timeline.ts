import { figure, legend, px } from "../../loadtest/report/drawing.ts";
import { escapeHtml, type Html, raw } from "../../loadtest/report/html.ts";
import { linearScale, type Scale } from "../../loadtest/report/scale.ts";

/** A stretch on a lane. */
export interface Stretch {
  readonly from: number;
  readonly to: number;
  readonly kind: StretchKind;
  /** Told when the pointer is on it. */
  readonly title: string;
}

export type StretchKind = "up" | "down" | "fault" | "done" | "failed" | "waiting" | "executing" | "aborted";

/** One row of the timeline: an instance, or a session. */
export interface Lane {
  readonly label: string;
  readonly stretches: readonly Stretch[];
  /** A heading is drawn above the first lane of a group. */
  readonly group: string;
}

export interface Timeline {
  readonly title: string;
  readonly note: string;
  readonly lanes: readonly Lane[];
  /** Milliseconds. */
  readonly range: readonly [number, number];
  readonly marks: readonly { readonly at: number; readonly label: string }[];
}

const WIDTH = 1_130;
const LEFT = 168;
const RIGHT = 14;
const ROW = 17;
const BAR = 11;
const HEADING = 22;
const AXIS = 26;
/** Height of a line of marks' names, and the width of one of its letters. */
const LABEL = 14;
const LETTER = 6;

const PAINT: Readonly<Record<StretchKind, string>> = {
  up: "var(--c2)",
  down: "var(--bad)",
  fault: "var(--warn)",
  waiting: "var(--c5)",
  executing: "var(--c0)",
  done: "var(--c0)",
  failed: "var(--bad)",
  aborted: "var(--c3)",
};

/** What is ordinary stays behind what is not. */
const OPACITY: Readonly<Partial<Record<StretchKind, number>>> = { up: 0.35, waiting: 0.55, fault: 0.75 };

const NAMES: readonly (readonly [string, StretchKind])[] = [
  ["process runs", "up"],
  ["process is gone", "down"],
  ["fault", "fault"],
  ["message waits", "waiting"],
  ["run until its end", "done"],
  ["aborted", "aborted"],
  ["failed or never ended", "failed"],
];

/** What happened to whom and when: instances and faults above, what people waited for below. */
export function timeline({ lanes, marks, note, range, title }: Timeline): Html {
  const groups = [...Map.groupBy(lanes, ({ group }) => group)];
  const x = linearScale([range[0] / 1_000, range[1] / 1_000], [LEFT, WIDTH - RIGHT], {
    pieces: 12,
    exact: true,
  });
  const drawing: string[] = [];
  const named = labelsOf(marks, x);
  let y = named.height;
  drawing.push(...named.texts);
  for (const [group, members] of groups) {
    y += HEADING;
    drawing.push(`<text x="0" y="${y - 6}" font-weight="600">${escapeHtml(group)}</text>`);
    for (const lane of members) {
      drawing.push(laneOf(lane, x, y));
      y += ROW;
    }
  }
  drawing.push(...marks.map((mark) => markOf(mark, x, y)), axisOf(x, y));
  const height = y + AXIS;
  return figure(
    { title, note },
    raw(
      `<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escapeHtml(title)}">${drawing.join("")}</svg>`,
    ),
    legend(NAMES.map(([name, kind]) => ({ name, color: colorOf(kind), block: true }))),
  );
}

/** Names of the marks above the lanes, in as many lines as keep them from running into each other. */
function labelsOf(marks: Timeline["marks"], x: Scale): { readonly texts: string[]; readonly height: number } {
  const ends: number[] = [];
  const texts = marks
    .toSorted((a, b) => a.at - b.at)
    .map(({ at, label }) => {
      const width = label.length * LETTER;
      // At the right edge a name ends at its mark.
      const flip = x.at(at / 1_000) + width > WIDTH;
      const from = x.at(at / 1_000) - (flip ? width : 0);
      const free = ends.findIndex((end) => end < from);
      const line = free === -1 ? ends.length : free;
      ends[line] = from + width + LETTER;
      return `<text x="${px(from + 3)}" y="${line * LABEL + 11}">${escapeHtml(label)}</text>`;
    });
  return { texts, height: ends.length * LABEL };
}

function laneOf({ label, stretches }: Lane, x: Scale, y: number): string {
  const bars = stretches.map(({ from, kind, title, to }) => {
    const left = x.at(from / 1_000);
    // What lasted no time at all is still seen.
    const width = Math.max(x.at(to / 1_000) - left, 1.6);
    const tall = kind === "fault" ? BAR + 4 : BAR;
    const top = y + (ROW - tall) / 2;
    const look = OPACITY[kind] === undefined ? "" : ` opacity="${OPACITY[kind]}"`;
    return `<rect x="${px(left)}" y="${px(top)}" width="${px(width)}" height="${tall}" rx="1.5" fill="${PAINT[kind]}"${look}><title>${escapeHtml(title)}</title></rect>`;
  });
  const name = label.length > 26 ? `…${label.slice(-25)}` : label;
  return `<text x="${LEFT - 8}" y="${y + 12}" text-anchor="end">${escapeHtml(name)}</text><line class="ruled" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y + ROW}" y2="${y + ROW}"/>${bars.join("")}`;
}

const markOf = ({ at, label }: Timeline["marks"][number], x: Scale, bottom: number): string => {
  const place = px(x.at(at / 1_000));
  return `<line class="marker" x1="${place}" x2="${place}" y1="${HEADING - 6}" y2="${bottom}" stroke="var(--soft)"><title>${escapeHtml(label)}</title></line>`;
};

const axisOf = (x: Scale, y: number): string =>
  x.ticks
    .map((tick) => `<text x="${px(x.at(tick))}" y="${y + 16}" text-anchor="middle">${tick} s</text>`)
    .join("");

/** The legend's colours are named, not painted. */
function colorOf(kind: StretchKind): number | "bad" | "warn" {
  switch (kind) {
    case "up":
      return 2;
    case "waiting":
      return 5;
    case "aborted":
      return 3;
    case "fault":
      return "warn";
    case "down":
    case "failed":
      return "bad";
    case "done":
    case "executing":
      break;
  }
  return 0;
}
