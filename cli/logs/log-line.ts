import { printable } from "../text-table.ts";

export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
export type LogLineLevel = (typeof LOG_LEVELS)[number];

/** One line of one log, as `--json` prints it. What a line does not say is absent. */
export interface LogLine {
  readonly instance: string;
  /** When it was written, ISO 8601; null where the line does not say: it belongs to the one before it. */
  readonly time: string | null;
  readonly level?: LogLineLevel;
  readonly event?: string;
  readonly tenant?: string;
  readonly session?: string;
  readonly run?: string;
  /** As it was written. */
  readonly line: string;
}

export const linesOf = (instance: string, text: string): LogLine[] =>
  text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => ({
      instance,
      ...(ofInstance(line) ?? ofPostgres(line) ?? ofRedis(line) ?? NO_TIME),
      line,
    }));

const NO_TIME = { time: null };
type Known = Omit<LogLine, "instance" | "line">;

/** Instances write JSON. */
function ofInstance(line: string): Known | null {
  const fields = fieldsOf(line);
  if (fields === null) return null;
  const text = (...names: readonly string[]): string | undefined =>
    names.map((name) => fields[name]).find((value) => typeof value === "string");
  const level = LOG_LEVELS.find((one) => one === fields["level"]);
  const said = {
    event: text("event"),
    tenant: text("tenant"),
    session: text("session", "sessionKey"),
    run: text("run", "runId"),
  };
  return {
    time: text("time") ?? null,
    ...(level === undefined ? {} : { level }),
    ...Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined)),
  };
}

function fieldsOf(line: string): Record<string, unknown> | null {
  if (!line.startsWith("{")) return null;
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return null;
  }
}

/** PostgreSQL begins its lines with a time in UTC, its process and how bad it is. */
function ofPostgres(line: string): Known | null {
  const found = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d\.\d+) UTC(?: \[\d+\])? ?([A-Z]+)?/.exec(line);
  if (found === null) return null;
  const [, day, time, severity = "LOG"] = found;
  return { time: `${day}T${time}Z`, level: POSTGRES_LEVELS[severity] ?? "info" };
}

const POSTGRES_LEVELS: Readonly<Record<string, LogLineLevel>> = {
  WARNING: "warn",
  ERROR: "error",
  FATAL: "error",
  PANIC: "error",
};

/** Redis writes its own form of a time, and one character for the level. */
function ofRedis(line: string): Known | null {
  const found = /^\d+:[A-Z] (\d\d \w{3} \d{4} \d\d:\d\d:\d\d\.\d+) (\S)/.exec(line);
  const time = found === null ? Number.NaN : Date.parse(`${found[1]} UTC`);
  if (found === null || Number.isNaN(time)) return null;
  return { time: new Date(time).toISOString(), level: REDIS_LEVELS[found[2] ?? ""] ?? "info" };
}

const REDIS_LEVELS: Readonly<Record<string, LogLineLevel>> = { "#": "warn", ".": "debug", "-": "debug" };

/** Equal times, and lines without one, keep the order of their file. */
export function mergeByTime(logs: readonly (readonly LogLine[])[]): LogLine[] {
  const dated = logs.flatMap((lines) => {
    let last = "";
    return lines.map((line) => ({ line, time: (last = line.time ?? last) }));
  });
  return dated.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0)).map(({ line }) => line);
}

/** A line for people: the time of day, how bad it is, what happened, and the rest as `name=value`. */
export function logText({ instance, level, line, time }: LogLine): string {
  const head = `${(time ?? "").slice(11, 23).padEnd(12)} ${instance.padEnd(WIDTH)}`;
  const fields = fieldsOf(line);
  if (fields === null) return `${head} ${printable(line)}`;
  const { event, ...rest } = fields;
  const others = Object.entries(rest)
    .filter(([name]) => !HEAD_FIELDS.has(name))
    .map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`);
  const what = [typeof event === "string" ? event : "", ...others].join(" ");
  return `${head} ${(level ?? "").padEnd(5)} ${printable(what)}`;
}

/** Told at the beginning of the line already. */
const HEAD_FIELDS: ReadonlySet<string> = new Set(["level", "time", "instance"]);

/** As wide as the usual ids, so that columns stay where they are. */
const WIDTH = 10;
