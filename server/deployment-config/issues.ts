import type { z } from "zod";
import type { KeyPath } from "./places.ts";
import { misspelt } from "./known-keys.ts";

/** One thing that is wrong with a file, in words for people. */
export interface Problem {
  readonly key: KeyPath;
  readonly message: string;
}

type Issue = z.core.$ZodIssue;

/** What the schema has to complain about, one problem for each thing that somebody would have to change. */
export function problemsOf(issue: Issue, below: KeyPath = []): Problem[] {
  const key = [...below, ...issue.path];
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((name) => ({ key: [...key, name], message: `unknown key${misspelt(key, name)}` }));
  }
  if (issue.code === "invalid_union") return problemsOfUnion(issue, key);
  if (issue.code === "invalid_key") return issue.issues.flatMap((inner) => problemsOf(inner, key));
  const isMissing = issue.code === "invalid_type" && issue.input === undefined;
  const isOther = issue.code === "invalid_type" || issue.code === "invalid_value";
  const what = isOther ? `${isMissing ? "is missing: " : "must be "}${kindOf(issue)}` : plain(issue.message);
  return [{ key, message: what }];
}

/** Of several things that may stand at a place, the one that was meant; all of them where none was. */
function problemsOfUnion(issue: Extract<Issue, { code: "invalid_union" }>, key: KeyPath): Problem[] {
  const isOtherKind = ([first]: readonly Issue[]): boolean =>
    first !== undefined && first.path.length === 0 && ["invalid_type", "invalid_value"].includes(first.code);
  const meant = issue.errors.find((branch) => !isOtherKind(branch));
  if (meant !== undefined) return meant.flatMap((inner) => problemsOf(inner, key));
  const kinds = new Set(issue.errors.flatMap(([first]) => (first === undefined ? [] : [kindOf(first)])));
  return [{ key, message: `must be ${[...kinds].join(" or ")}` }];
}

function kindOf(issue: Issue): string {
  if (issue.code === "invalid_value") {
    const values = issue.values.map(String);
    return values.length === 1 ? (values[0] ?? "") : `one of ${values.join(", ")}`;
  }
  return issue.code === "invalid_type" ? (KINDS[issue.expected] ?? issue.expected) : plain(issue.message);
}

const KINDS: Readonly<Record<string, string>> = {
  int: "a whole number",
  number: "a number",
  string: "text",
  boolean: "true or false",
  object: "a group of keys",
  record: "a group of keys",
  array: "a list",
  null: "null",
};

/** `Too small: expected number to be >=0` with a small letter, as the rest of our words. */
const plain = (message: string): string => message.charAt(0).toLowerCase() + message.slice(1);
