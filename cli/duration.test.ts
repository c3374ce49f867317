import { describe, expect, it } from "vitest";
import { formatDuration, parseDurationMs, parseInteger, parseLimit } from "./duration.ts";

describe("durations", () => {
  it.each([
    ["500ms", 500],
    ["30s", 30_000],
    ["30", 30_000],
    ["1.5m", 90_000],
    ["2h", 7_200_000],
    ["7d", 604_800_000],
  ])("reads %s", (text, ms) => expect(parseDurationMs(text)).toBe(ms));

  it.each(["", "s", "-1s", "1w", "1s2", "ten"])("refuses %j", (text) =>
    expect(() => parseDurationMs(text)).toThrow(/Expected/),
  );

  it.each([
    [0, "0 ms"],
    [850, "850 ms"],
    [12_340, "12.3 s"],
    [250_000, "4 m 10 s"],
    [11_100_000, "3 h 5 m"],
    [187_200_000, "2 d 4 h"],
  ])("shows %d ms as %s", (ms, text) => expect(formatDuration(ms)).toBe(text));
});

describe("numbers", () => {
  it("reads whole numbers within their range", () => {
    expect(parseInteger(0, 5)("5")).toBe(5);
    for (const text of ["6", "-1", "1.5", "x", ""])
      expect(() => parseInteger(0, 5)(text)).toThrow(/Expected/);
  });

  it("reads a limit, or all", () => {
    expect(parseLimit("10")).toBe(10);
    expect(parseLimit("all")).toBe(Infinity);
    expect(() => parseLimit("0")).toThrow(/Expected/);
  });
});
