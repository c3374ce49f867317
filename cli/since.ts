import { InvalidArgumentError } from "commander";
import { parseDurationMs } from "./duration.ts";

/** A moment that was typed: so long before now, or a time of its own (epoch milliseconds). */
export type Since = { readonly agoMs: number } | { readonly at: number };

/**
 * `--since`: a duration (`10m`, `2h`) or a time as ISO 8601 (`2026-11-25`, `2026-11-25T10:00:00Z`; without a zone it is
 * this machine's).
 * @throws InvalidArgumentError, which commander prints beside the flag's name
 */
export function parseSince(value: string): Since {
  if (/^\d+(\.\d+)?\s*(ms|s|m|h|d)$/.test(value.trim())) return { agoMs: parseDurationMs(value) };
  const at = /^\d{4}-\d\d-\d\d/.test(value.trim()) ? Date.parse(value) : Number.NaN;
  if (Number.isNaN(at)) {
    throw new InvalidArgumentError(
      "Expected a duration such as 10m, or a time such as 2026-11-25T10:00:00Z.",
    );
  }
  return { at };
}

/** Epoch milliseconds. */
export const momentOf = (since: Since, now: number): number => ("at" in since ? since.at : now - since.agoMs);
