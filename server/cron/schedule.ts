import { createHash } from "node:crypto";
import { Cron } from "croner";
import type { CronDefinition, CronJob, CronSchedule } from "../core/cron.ts";
import { instantOf, wallClock } from "./wall-clock.ts";

/** Recurring jobs at the full hour are spread over so many milliseconds after it, so that they do not all start at once. */
const TOP_OF_HOUR_STAGGER_MS = 300_000;
const QUARTER_MS = 900_000;
/** Expressions that are kept parsed. */
const PARSED_MAX = 512;

const parsed = new Map<string, Cron>();

/** @throws Error of croner, naming what is wrong with the expression */
function cronOf(expr: string): Cron {
  const known = parsed.get(expr);
  if (known) return known;
  const cron = new Cron(expr.trim(), { timezone: "UTC", catch: false });
  if (parsed.size >= PARSED_MAX) parsed.clear();
  parsed.set(expr, cron);
  return cron;
}

/** What of a job decides on its times. */
export interface Timed {
  readonly jobId: string;
  readonly definition: Pick<CronDefinition, "schedule" | "zone">;
  readonly last: Pick<NonNullable<CronJob["last"]>, "at"> | null;
}

/**
 * The first time after `now` (exclusive) at which the job is to run, in epoch milliseconds; null: never again. The rules
 * are those of the genuine gateway: an interval counts from the last run; a time of day that the change to summer time
 * skips is skipped, and one that the change back repeats counts once, the first time.
 * @throws Error for an expression or a time zone that nobody understands
 */
export function nextRunAfter(
  { jobId, definition: { schedule, zone }, last }: Timed,
  now: number,
): number | null {
  switch (schedule.kind) {
    case "at": {
      const at = Date.parse(schedule.at);
      return at > now ? at : null;
    }
    case "every": {
      const { everyMs, anchorMs } = schedule;
      if (last !== null && last.at >= anchorMs && last.at + everyMs > now) return last.at + everyMs;
      if (now < anchorMs) return anchorMs;
      return anchorMs + (Math.floor((now - anchorMs) / everyMs) + 1) * everyMs;
    }
    case "cron": {
      const offset = staggerOffset(jobId, schedule);
      const next = nextOfExpression(schedule.expr, schedule.tz ?? zone, now - offset);
      return next === null ? null : next + offset;
    }
    default:
      return schedule satisfies never;
  }
}

/** Part of the stagger that falls to this job: always the same. */
function staggerOffset(jobId: string, { expr, staggerMs }: Extract<CronSchedule, { kind: "cron" }>): number {
  const spread = staggerMs ?? (isTopOfHour(expr) ? TOP_OF_HOUR_STAGGER_MS : 0);
  if (spread <= 1) return 0;
  return createHash("sha256").update(jobId).digest().readUInt32BE(0) % spread;
}

/** Whether the expression means the full hour of more than a few hours: `0 * * * *`, `0 *\/2 * * *`. */
function isTopOfHour(expr: string): boolean {
  const fields = expr.trim().split(/\s+/);
  const [minute, hour = ""] = fields.length === 6 ? (fields[0] === "0" ? fields.slice(1) : []) : fields;
  if (minute !== "0" || fields.length < 5 || fields.length > 6) return false;
  const parts = hour.split(",");
  return (
    parts.every((part) => /^(?:\d+|\d+-\d+|[*?])(?:\/\d+)?$/.test(part)) &&
    parts.some((part) => /^[*?]/.test(part))
  );
}

/**
 * Expressions are read on the wall clock (croner, in a zone without changes), and its times then looked up in the zone:
 * croner's own reading of zones answers times before `after` while an hour is repeated.
 */
function nextOfExpression(expr: string, zone: string, after: number): number | null {
  const cron = cronOf(expr);
  let wall = wallClock(after, zone);
  for (;;) {
    const next = cron.nextRun(new Date(wall))?.getTime();
    if (next === undefined) return null;
    const at = instantOf(next, zone);
    if (at !== null && at > after) return at;
    // Skipped or repeated: on to the end of that, which is at a full quarter of an hour in every zone.
    wall = (Math.floor(next / QUARTER_MS) + 1) * QUARTER_MS - 1;
  }
}
