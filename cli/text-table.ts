import { table } from "./table.ts";

/** A table of what users named: control characters are shown, not sent to the terminal. */
export const textTable = (header: readonly string[], rows: readonly (readonly string[])[]): string =>
  table([header, ...rows].map((row) => row.map(printable)));

/** `name: value` lines, aligned; null leaves a line out. */
export function textFields(fields: Readonly<Record<string, string | number | null | undefined>>): string {
  const shown = Object.entries(fields).filter(([, value]) => value !== null && value !== undefined);
  return table(shown.map(([name, value]) => [`${name}:`, printable(String(value))]));
}

/** One line, however long and whatever is in it. */
export const printable = (text: string): string =>
  // oxlint-disable-next-line no-control-regex -- control characters are what this is about
  text.replace(/[\u0000-\u001F\u007F-\u009F]/g, (character) => (character === "\n" ? "⏎" : "�"));

export const clip = (text: string, max: number): string =>
  text.length <= max ? text : `${text.slice(0, max - 1)}…`;
