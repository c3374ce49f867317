/** A place in a text, counted from 1, as editors count. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

export type KeyPath = readonly (string | number)[];

/** Key paths as map keys; JSON keeps `["a","b"]` and `["a.b"]` apart. */
export const pathKey = (path: KeyPath): string => JSON.stringify(path.map(String));

const WHITESPACE = /[\s\uFEFF]/;
const PUNCTUATION = /[,:[\]{}\s]/;

/**
 * Where each member and element of a JSON5 document begins: members at their key, elements at their value.
 * The text must be valid JSON5 (parse it first); the last of repeated keys wins, as in the parser.
 */
export function json5Positions(text: string): Map<string, Position> {
  const positions = new Map<string, Position>();
  const lineStarts = [0];
  for (let i = text.indexOf("\n"); i !== -1; i = text.indexOf("\n", i + 1)) lineStarts.push(i + 1);
  let at = 0;

  const positionOf = (offset: number): Position => {
    let low = 0;
    let high = lineStarts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((lineStarts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: offset - (lineStarts[low] ?? 0) + 1 };
  };

  const skipBlank = (): void => {
    while (at < text.length) {
      if (WHITESPACE.test(text[at] ?? "")) at++;
      else if (text.startsWith("//", at)) at = lineEnd(text, at);
      else if (text.startsWith("/*", at)) at = text.indexOf("*/", at + 2) + 2;
      else return;
    }
  };

  /** A string, an identifier or a literal; answers its value as a key. */
  const token = (): string => {
    const start = at;
    const quote = text[at];
    if (quote !== '"' && quote !== "'") {
      while (at < text.length && !PUNCTUATION.test(text[at] ?? "") && text[at] !== "/") at++;
      return text.slice(start, at);
    }
    for (at++; at < text.length && text[at] !== quote; at++) if (text[at] === "\\") at++;
    at++;
    return unquote(text.slice(start, at));
  };

  const value = (path: KeyPath): void => {
    skipBlank();
    if (text[at] === "{") {
      members(path, "}", () => {
        const start = at;
        const key = token();
        skipBlank();
        at++; // the colon
        return [key, start];
      });
    } else if (text[at] === "[") {
      let index = 0;
      members(path, "]", () => [index++, at]);
    } else {
      token();
    }
  };

  const members = (path: KeyPath, close: string, begin: () => readonly [string | number, number]): void => {
    at++;
    for (skipBlank(); at < text.length && text[at] !== close; skipBlank()) {
      const [key, start] = begin();
      const member = [...path, key];
      positions.set(pathKey(member), positionOf(start));
      value(member);
      skipBlank();
      if (text[at] === ",") at++;
    }
    at++;
  };

  positions.set(pathKey([]), { line: 1, column: 1 });
  value([]);
  return positions;
}

const lineEnd = (text: string, from: number): number => {
  const end = text.indexOf("\n", from);
  return end === -1 ? text.length : end;
};

/** Keys with escapes are rare: only those pay for a parser. */
function unquote(quoted: string): string {
  const inner = quoted.slice(1, -1);
  if (!inner.includes("\\")) return inner;
  try {
    return JSON.parse(`"${inner.replaceAll("\\'", "'").replaceAll(/(?<!\\)"/g, '\\"')}"`) as string;
  } catch {
    return inner;
  }
}
