import { z } from "zod";

/** Text that must not be empty, as most of OpenClaw's fields. */
export const text = z.string().min(1);
/** A session's label. */
export const labelText = text.max(512);
export const sessionKeyText = z.string().min(1).max(512);
/** JSON integers that our stores can hold. */
export const count = z.int().min(0).max(Number.MAX_SAFE_INTEGER);

/**
 * Reads params with a schema that was compiled when its module was loaded. Fields that the schema does not know are
 * ignored: clients of a newer release already send fields that the published schemas forbid.
 * @returns the value, or why not in OpenClaw's words: `at /path: what` of the first few problems
 */
export function readParams<T>(
  schema: z.ZodType<T>,
  params: unknown,
): { readonly ok: true; readonly value: T } | { readonly ok: false; readonly why: string } {
  const read = schema.safeParse(params ?? {}, { reportInput: true });
  if (read.success) return { ok: true, value: read.data };
  return { ok: false, why: read.error.issues.slice(0, 3).map(problemOf).join("; ").slice(0, 500) };
}

function problemOf(issue: z.core.$ZodIssue): string {
  const { path } = issue;
  const last = path.at(-1);
  if (issue.input === undefined && last !== undefined) {
    return `${at(path.slice(0, -1))}must have required property '${String(last)}'`;
  }
  return `${at(path)}${wordsOf(issue)}`;
}

const at = (path: readonly PropertyKey[]): string =>
  path.length === 0 ? "" : `at /${path.map(String).join("/")}: `;

/** How zod begins where a schema has no words of its own. */
const ZOD_WORDS = /^(Invalid (input: expected|option)|Too (small|big))/;

/** The schema's own words; else what OpenClaw's checks say of the same fault. */
function wordsOf(issue: z.core.$ZodIssue): string {
  if (!ZOD_WORDS.test(issue.message)) return issue.message.replace(/^Invalid input: /, "");
  // Every number in a request is a count, a time or a port.
  if (issue.code === "invalid_type") {
    return `must be ${["number", "int"].includes(issue.expected) ? "integer" : issue.expected}`;
  }
  if (issue.code === "invalid_value") return "must be equal to one of the allowed values";
  if (issue.code === "too_small") {
    return bound(issue.origin, `>= ${issue.minimum}`, `must not have fewer than ${issue.minimum}`);
  }
  if (issue.code === "too_big") {
    return bound(issue.origin, `<= ${issue.maximum}`, `must not have more than ${issue.maximum}`);
  }
  return issue.message.replace(/^Invalid input: /, "");
}

function bound(origin: string, number: string, size: string): string {
  if (origin === "string") return `${size} characters`;
  return origin === "array" ? `${size} items` : `must be ${number}`;
}
