import { type Document, isMap, isSeq, type LineCounter, type Node } from "yaml";

export type KeyPath = readonly PropertyKey[];

/** Where something of a YAML text stands. Lines and columns count from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** Where a key stands; for one that is missing, where its nearest parent does. */
export function placeOfKey(document: Document.Parsed, lines: LineCounter, key: KeyPath): Place {
  return placeOfOffset(lines, offsetOf(document.contents, key));
}

export function placeOfOffset(lines: LineCounter, offset: number): Place {
  const { line, col } = lines.linePos(offset);
  // An empty text has no lines at all.
  return { line: Math.max(1, line), column: Math.max(1, col) };
}

function offsetOf(root: Node | null, key: KeyPath): number {
  let node: unknown = root;
  let offset = root?.range?.[0] ?? 0;
  for (const part of key) {
    if (isMap(node)) {
      const pair = node.items.find(({ key: name }) => String(name) === String(part));
      if (pair === undefined) return offset;
      offset = (pair.key as Node | null)?.range?.[0] ?? offset;
      node = pair.value;
    } else if (isSeq(node)) {
      node = node.items[Number(part)];
      offset = (node as Node | undefined)?.range?.[0] ?? offset;
    } else return offset;
  }
  return offset;
}
