const DAY_MS = 86_400_000;

/** Zones that are kept; there are fewer, but each can be written in many ways. */
const FORMATS_MAX = 512;

const formats = new Map<string, Intl.DateTimeFormat>();

/** @throws RangeError for a zone that nobody knows */
function formatOf(zone: string): Intl.DateTimeFormat {
  const known = formats.get(zone);
  if (known) return known;
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone: zone,
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
  });
  if (formats.size >= FORMATS_MAX) formats.clear();
  formats.set(zone, format);
  return format;
}

/** What clocks in the zone show at an instant, as milliseconds of a clock in UTC that shows the same. */
export function wallClock(instant: number, zone: string): number {
  if (zone === "UTC") return instant;
  const at: Record<string, number> = {};
  for (const { type, value } of formatOf(zone).formatToParts(instant)) at[type] = Number(value);
  const seconds = Date.UTC(at["year"]!, at["month"]! - 1, at["day"], at["hour"], at["minute"], at["second"]);
  return seconds + (((instant % 1_000) + 1_000) % 1_000);
}

/** The first instant at which clocks in the zone show this; null where they skip it. */
export function instantOf(wall: number, zone: string): number | null {
  if (zone === "UTC") return wall;
  // One of the offsets of the day before and the day after is the one that holds; the larger one makes the earlier instant.
  const offsets = [wall - DAY_MS, wall + DAY_MS].map((near) => wallClock(near, zone) - near);
  for (const offset of offsets.sort((a, b) => b - a)) {
    if (wallClock(wall - offset, zone) === wall) return wall - offset;
  }
  return null;
}
