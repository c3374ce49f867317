import { describe, expect, it } from "vitest";
import type { CronSchedule } from "../core/cron.ts";
import { nextRunAfter } from "./schedule.ts";

const ms = (iso: string): number => Date.parse(iso);
const next = (schedule: CronSchedule, after: string, zone = "UTC", lastAt?: number): string | null => {
  const last = lastAt === undefined ? null : { at: lastAt };
  const at = nextRunAfter({ jobId: "job-1", definition: { schedule, zone }, last }, ms(after));
  return at === null ? null : new Date(at).toISOString();
};
/** Times of an expression in a zone, one after the other. */
const times = (expr: string, tz: string, after: string, count: number): (string | null)[] => {
  const found: (string | null)[] = [];
  for (let at: string | null = after; found.length < count && at !== null;) {
    at = next({ kind: "cron", expr, tz, staggerMs: 0 }, at);
    found.push(at);
  }
  return found;
};

describe("the next time of a job", () => {
  it("is its own once, and none after that", () => {
    const at: CronSchedule = { kind: "at", at: "2026-05-01T12:00:00Z" };
    expect(next(at, "2026-05-01T11:59:59Z")).toBe("2026-05-01T12:00:00.000Z");
    expect(next(at, "2026-05-01T12:00:00Z")).toBeNull();
  });

  it("is on the grid of its anchor, and a full interval after a run", () => {
    const every: CronSchedule = { kind: "every", everyMs: 60_000, anchorMs: ms("2026-05-01T00:00:30Z") };
    expect(next(every, "2026-04-01T00:00:00Z")).toBe("2026-05-01T00:00:30.000Z");
    expect(next(every, "2026-05-01T10:00:30Z")).toBe("2026-05-01T10:01:30.000Z");
    const lastAt = ms("2026-05-01T10:00:45Z");
    expect(next(every, "2026-05-01T10:00:50Z", "UTC", lastAt)).toBe("2026-05-01T10:01:45.000Z");
    expect(next(every, "2026-05-01T11:00:00Z", "UTC", lastAt)).toBe("2026-05-01T11:00:30.000Z");
  });

  it("follows the wall clock of its zone, or of the job's where it names none", () => {
    const nine = { kind: "cron", expr: "0 9 * * 1-5" } as const;
    expect(next({ ...nine, tz: "Europe/Zurich" }, "2026-07-03T07:00:00Z")).toBe("2026-07-06T07:00:00.000Z");
    expect(next(nine, "2026-07-03T12:00:00Z", "America/New_York")).toBe("2026-07-03T13:00:00.000Z");
  });

  // What the genuine gateway answers, compared over 86,000 times of seven zones.
  it("skips a time that the change to summer time skips", () => {
    expect(times("30 2 * * *", "Europe/Zurich", "2026-03-28T12:00:00Z", 2)).toEqual([
      "2026-03-30T00:30:00.000Z",
      "2026-03-31T00:30:00.000Z",
    ]);
    expect(times("*/30 1-3 * * *", "Europe/Zurich", "2026-03-28T23:59:00Z", 4)).toEqual([
      "2026-03-29T00:00:00.000Z",
      "2026-03-29T00:30:00.000Z",
      "2026-03-29T01:00:00.000Z",
      "2026-03-29T01:30:00.000Z",
    ]);
  });

  it("counts a time that the change back repeats once", () => {
    expect(times("30 2 * * *", "Europe/Zurich", "2026-10-24T12:00:00Z", 2)).toEqual([
      "2026-10-25T00:30:00.000Z",
      "2026-10-26T01:30:00.000Z",
    ]);
    // In the middle of the hour that is repeated everything in it has been.
    expect(times("* * * * * *", "Europe/Zurich", "2026-10-25T01:10:00Z", 1)).toEqual([
      "2026-10-25T02:00:00.000Z",
    ]);
  });

  it("spreads jobs at the full hour, always to the same place, and keeps to the minute where it is told to", () => {
    const hourly: CronSchedule = { kind: "cron", expr: "0 * * * *" };
    const first = ms(next(hourly, "2026-05-01T10:10:00Z")!);
    const offset = first - ms("2026-05-01T11:00:00Z");
    expect(offset).toBeGreaterThan(0);
    expect(offset).toBeLessThan(300_000);
    expect(ms(next(hourly, "2026-05-01T11:10:00Z")!) - first).toBe(3_600_000);
    expect(next({ ...hourly, staggerMs: 0 }, "2026-05-01T10:10:00Z")).toBe("2026-05-01T11:00:00.000Z");
    expect(next({ kind: "cron", expr: "0 9 * * *" }, "2026-05-01T10:10:00Z")).toBe(
      "2026-05-02T09:00:00.000Z",
    );
  });

  it("is none where an expression has no time left", () => {
    expect(next({ kind: "cron", expr: "0 0 31 2 *" }, "2026-05-01T00:00:00Z")).toBeNull();
  });

  it.each([
    ["nonsense", "UTC"],
    ["61 * * * *", "UTC"],
    ["* * * * *", "Mars/Olympus"],
  ])("refuses %j in %s", (expr, tz) => {
    expect(() => next({ kind: "cron", expr, tz }, "2026-05-01T00:00:00Z")).toThrow(
      /cron|CronPattern|time zone/i,
    );
  });
});
