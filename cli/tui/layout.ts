import { clip, printable } from "../text-table.ts";

/** A column: its width, or what is left of the line; numbers stand at their right. */
export interface Column {
  readonly title: string;
  readonly width: number | "rest";
  readonly right?: true;
}

/** One line of exactly `width` characters; what does not fit into its column ends in `…`. */
export function tableLine(columns: readonly Column[], cells: readonly string[], width: number): string {
  const fixed = columns.reduce((sum, column) => sum + (column.width === "rest" ? 0 : column.width + 1), 0);
  const line = columns.map((column, n) => {
    const room = column.width === "rest" ? Math.max(0, width - fixed) : column.width;
    const cell = clip(printable(cells[n] ?? ""), room);
    return column.right === true ? cell.padStart(room) : cell.padEnd(room);
  });
  return clip(line.join(" "), width).padEnd(width);
}

/**
 * How many rows each section of a screen gets. Everyone first gets two where there is something to show, then the one
 * in focus what it needs, and the others share what is left.
 */
export function allotRows(needs: readonly number[], focus: number, room: number): number[] {
  const rows = needs.map(() => 0);
  let left = Math.max(0, room);
  const give = (n: number, upTo: number): void => {
    const more = Math.min(left, Math.min(needs[n] ?? 0, upTo) - (rows[n] ?? 0));
    if (more <= 0) return;
    rows[n] = (rows[n] ?? 0) + more;
    left -= more;
  };
  const others = needs.map((_, n) => n).filter((n) => n !== focus);
  give(focus, 3);
  for (const n of others) give(n, 2);
  give(focus, Infinity);
  for (let upTo = 3; upTo <= Math.max(...needs); upTo++) for (const n of others) give(n, upTo);
  return rows;
}

/** The part of a list that `rows` lines show so that the cursor is among them. */
export function windowStart(length: number, rows: number, cursor: number): number {
  if (length <= rows) return 0;
  return Math.min(Math.max(0, cursor - Math.floor(rows / 2)), length - rows);
}
