import { describe, expect, it } from "vitest";
import { momentOf, parseSince } from "./since.ts";

const NOW = Date.UTC(2026, 10, 25, 12);

describe("--since", () => {
  it.each([
    ["10m", NOW - 600_000],
    ["1.5h", NOW - 5_400_000],
    ["2026-11-25T11:00:00Z", NOW - 3_600_000],
    ["2026-11-25T11:00:00+01:00", NOW - 7_200_000],
  ])("takes %s", (typed, moment) => {
    expect(momentOf(parseSince(typed), NOW)).toBe(moment);
  });

  it.each(["yesterday", "10", "-5m", "2026-13-45", "", "5 weeks"])("refuses %j", (typed) => {
    expect(() => parseSince(typed)).toThrow("Expected a duration");
  });
});
