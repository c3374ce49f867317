import { InvalidArgumentError } from "commander";

const UNITS_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/**
 * A duration flag in milliseconds: `500ms`, `30s`, `1.5m`, `2h`, `7d`. A bare number is seconds, as in `sleep`.
 * @throws InvalidArgumentError, which commander prints beside the flag's name
 */
export function parseDurationMs(value: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?$/.exec(value.trim());
  const factor = UNITS_MS[match?.[2] ?? "s"];
  if (match === null || factor === undefined) {
    throw new InvalidArgumentError("Expected a duration such as 30s, 500ms, 2m or 1h.");
  }
  return Math.round(Number(match[1]) * factor);
}

/** @throws InvalidArgumentError for anything but a whole number of at least `min`, at most `max`. */
export const parseInteger =
  (min: number, max = Number.MAX_SAFE_INTEGER) =>
  (value: string): number => {
    const number = Number(value);
    if (/^\d+$/.test(value) && number >= min && number <= max) return number;
    const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
    throw new InvalidArgumentError(`Expected a whole number ${range}.`);
  };

/** `--limit`: a positive number, or `all`. */
export const parseLimit = (value: string): number => (value === "all" ? Infinity : parseInteger(1)(value));

/** A span for people: `850 ms`, `12.3 s`, `4 m 10 s`, `3 h 5 m`, `2 d 4 h`. */
export function formatDuration(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 60) return `${minutes} m ${Math.floor((ms % 60_000) / 1_000)} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 24 ? `${hours} h ${minutes % 60} m` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}
