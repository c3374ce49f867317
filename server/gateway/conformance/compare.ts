import type { Json } from "./normalise.ts";

/** One thing that two recordings of the same script do not share. */
export interface Difference {
  /**
   * `missing`: only the genuine gateway has it. `extra`: only the pool has it. `type` and `value`: both have it.
   * `length`: lists of different lengths.
   */
  readonly kind: "missing" | "extra" | "type" | "value" | "length";
  /** `case › observation › path`; list items are `[]`. */
  readonly at: string;
  readonly genuine?: Json;
  readonly pool?: Json;
}

/** The one line by which a difference is named, documented and searched. */
export const lineOf = ({ kind, at }: Difference): string => `${kind} ${at}`;

/** Every difference between what the genuine gateway and the pool were seen to do, the smallest ones. */
export function compare(genuine: Json, pool: Json, at: string): Difference[] {
  if (isList(genuine) && isList(pool)) {
    return at.endsWith(" order") ? compareOrder(genuine, pool, at) : compareLists(genuine, pool, at);
  }
  if (isObject(genuine) && isObject(pool)) return compareObjects(genuine, pool, at);
  if (kindOf(genuine) !== kindOf(pool)) return [{ kind: "type", at, genuine, pool }];
  return genuine === pool ? [] : [{ kind: "value", at, genuine, pool }];
}

type JsonObject = { readonly [name: string]: Json };

const isList = (value: Json): value is readonly Json[] => Array.isArray(value);
const isObject = (value: Json): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function kindOf(value: Json): string {
  if (value === null) return "null";
  return isList(value) ? "list" : typeof value;
}

function compareObjects(genuine: JsonObject, pool: JsonObject, at: string): Difference[] {
  const found: Difference[] = [];
  const under = (name: string): string => (at.endsWith("›") ? `${at} ${name}` : `${at}.${name}`);
  for (const [name, value] of Object.entries(genuine)) {
    const other = pool[name];
    if (other === undefined) found.push({ kind: "missing", at: under(name), genuine: value });
    else found.push(...compare(value, other, under(name)));
  }
  for (const [name, value] of Object.entries(pool)) {
    if (genuine[name] === undefined) found.push({ kind: "extra", at: under(name), pool: value });
  }
  return found;
}

/** Item by item where both have as many; the same difference of several items is one. */
function compareLists(genuine: readonly Json[], pool: readonly Json[], at: string): Difference[] {
  if (genuine.length !== pool.length) return [{ kind: "length", at, genuine, pool }];
  const found = new Map<string, Difference>();
  for (const [index, value] of genuine.entries()) {
    for (const difference of compare(value, pool[index] as Json, `${at}[]`)) {
      if (!found.has(lineOf(difference))) found.set(lineOf(difference), difference);
    }
  }
  return [...found.values()];
}

/** Sequences of names: what one has and the other has not at that place, by their longest common subsequence. */
function compareOrder(genuine: readonly Json[], pool: readonly Json[], at: string): Difference[] {
  const common = longestCommon(genuine.map(String), pool.map(String));
  const left = (all: readonly Json[]): string[] => {
    let next = 0;
    return all.map(String).filter((name) => {
      if (name !== common[next]) return true;
      next++;
      return false;
    });
  };
  return [
    ...left(genuine).map((name): Difference => ({ kind: "missing", at: `${at} › ${name}`, genuine, pool })),
    ...left(pool).map((name): Difference => ({ kind: "extra", at: `${at} › ${name}`, genuine, pool })),
  ];
}

function longestCommon(a: readonly string[], b: readonly string[]): string[] {
  const lengths = Array.from({ length: a.length + 1 }, () => Array.from(b, () => 0));
  const at = (i: number, j: number): number => lengths[i]?.[j] ?? 0;
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      const row = lengths[i] as number[];
      row[j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const common: string[] = [];
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    if (a[i] === b[j]) {
      common.push(a[i] as string);
      i++;
      j++;
    } else if (at(i + 1, j) >= at(i, j + 1)) i++;
    else j++;
  }
  return common;
}
