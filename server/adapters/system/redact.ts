import { isHAError } from "../../core/errors.ts";
import type { LogFields } from "../../ports/logger.ts";

/** What stands in a log for what must not. */
export const REDACTED = "[redacted]";

/**
 * Names of fields whose values are secrets, compared without case and separators. Callers must not log secrets at all;
 * this catches the one that slips through, most often as a part of a larger object.
 */
const SECRET_NAME =
  /^(?:.*(?:password|passphrase|secret|apikey|accesskey|privatekey|credentials?|authorization|cookie|signature)|(?:.*[a-z])?(?:token|auth))$/u;

/** Fields with such names that hold no secret: numbers of the domain, and the label that tells tokens apart. */
const NOT_SECRET = new Set(["fencingtoken", "tokenlabel"]);

/** Userinfo of a URL, the password in it. */
const URL_CREDENTIALS = /\b([a-z][a-z0-9+.-]*:\/\/)[^\s/@]+@/giu;

const MAX_DEPTH = 6;
const MAX_TEXT = 4_096;
const MAX_ITEMS = 100;

/** A copy of the fields that may be written: secrets replaced, errors readable, size bounded. */
export function redacted(fields: LogFields): Record<string, unknown> {
  return object(fields, 0);
}

/** Text without the credentials of URLs in it, bounded in length. */
export function redactedText(text: string): string {
  const clean = text.replaceAll(URL_CREDENTIALS, `$1${REDACTED}@`);
  return clean.length <= MAX_TEXT ? clean : `${clean.slice(0, MAX_TEXT)}… (${clean.length} characters)`;
}

function object(fields: object, depth: number): Record<string, unknown> {
  const entries = Object.entries(fields).slice(0, MAX_ITEMS);
  return Object.fromEntries(
    entries.map(([name, value]) => [name, isSecret(name, value) ? REDACTED : safe(value, depth)]),
  );
}

function isSecret(name: string, value: unknown): boolean {
  if (typeof value === "number" || typeof value === "boolean" || value === null || value === undefined)
    return false;
  const plain = name.replaceAll(/[^A-Za-z0-9]/gu, "").toLowerCase();
  return SECRET_NAME.test(plain) && !NOT_SECRET.has(plain);
}

function safe(value: unknown, depth: number): unknown {
  if (typeof value === "string") return redactedText(value);
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "function" || typeof value === "symbol") return typeof value;
  if (typeof value !== "object" || value === null) return value;
  if (depth >= MAX_DEPTH) return "[deeper]";
  if (value instanceof Error) return error(value, depth);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "invalid date" : value.toISOString();
  if (value instanceof Uint8Array) return `[${value.length} bytes]`;
  if (Array.isArray(value)) return value.slice(0, MAX_ITEMS).map((item) => safe(item, depth + 1));
  if (value instanceof Map || value instanceof Set) return `[${value.size} items]`;
  return object(value, depth + 1);
}

/** An HAError's stack says nothing that its code and message do not; any other one's is where to look for the bug. */
function error(thrown: Error, depth: number): Record<string, unknown> {
  const common = { name: thrown.name, message: redactedText(thrown.message) };
  const code = (thrown as { code?: unknown }).code;
  return {
    ...common,
    ...(code === undefined ? {} : { code: safe(code, depth + 1) }),
    ...(isHAError(thrown)
      ? { details: object(thrown.details, depth + 1) }
      : { stack: redactedText(thrown.stack ?? "") }),
    ...(thrown.cause === undefined ? {} : { cause: safe(thrown.cause, depth + 1) }),
  };
}
