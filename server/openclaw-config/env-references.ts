import type { KeyPath } from "./json5-positions.ts";
import { isRecord } from "./read-document.ts";

/** `${NAME}` in a string; `$${NAME}` stands for itself. Only upper-case names count, as in OpenClaw. */
const REFERENCE = /\$?\$\{([A-Z_][A-Z0-9_]*)\}/g;

export interface UnresolvedReference {
  readonly path: KeyPath;
  readonly name: string;
}

export interface Substituted {
  readonly value: unknown;
  /** References to variables that are missing or empty; they stay in the text as they are. */
  readonly unresolved: readonly UnresolvedReference[];
  /** Every variable that is referred to, set or not. */
  readonly names: readonly string[];
}

/** Replaces `${NAME}` in all string values of a configuration. */
export function substituteReferences(value: unknown, env: (name: string) => string | undefined): Substituted {
  const unresolved: UnresolvedReference[] = [];
  const names = new Set<string>();
  const walk = (node: unknown, path: KeyPath): unknown => {
    if (typeof node === "string") {
      return node.replaceAll(REFERENCE, (match: string, name: string) => {
        if (match.startsWith("$$")) return match.slice(1);
        names.add(name);
        const found = env(name);
        if (found) return found;
        unresolved.push({ path, name });
        return match;
      });
    }
    if (Array.isArray(node)) return node.map((item, index) => walk(item, [...path, index]));
    if (!isRecord(node)) return node;
    return Object.fromEntries(Object.entries(node).map(([key, item]) => [key, walk(item, [...path, key])]));
  };
  return { value: walk(value, []), unresolved, names: [...names] };
}
