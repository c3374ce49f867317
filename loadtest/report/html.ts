/** Markup that may be put into a page as it is. Only `html` and `raw` make it, so that text is never taken for markup. */
export interface Html {
  readonly markup: string;
}

type Part = Html | string | number | null | undefined | false | readonly Part[];

/** A template whose values are escaped, unless they are markup themselves; null, undefined and false leave no trace. */
export const html = (texts: TemplateStringsArray, ...values: readonly Part[]): Html =>
  raw(texts.reduce((all, text, n) => all + markupOf(values[n - 1]) + text));

/** Text that is markup already: our own constants. */
export const raw = (markup: string): Html => ({ markup });

function markupOf(part: Part): string {
  if (part === null || part === undefined || part === false) return "";
  if (typeof part === "string" || typeof part === "number") return escapeHtml(String(part));
  if ("markup" in part) return part.markup;
  return part.map(markupOf).join("");
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

export const escapeHtml = (text: string): string =>
  text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character);

/** What a colour says, the same everywhere in a report. */
export type Tone = "good" | "warn" | "bad" | "muted";
