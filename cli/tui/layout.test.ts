import { describe, expect, it } from "vitest";
import { allotRows, tableLine, windowStart } from "./layout.ts";

describe("a line of a table", () => {
  it("is as wide as the screen, and shortens what does not fit", () => {
    const columns = [
      { title: "A", width: 5 },
      { title: "B", width: 4, right: true },
      { title: "C", width: "rest" },
    ] as const;
    expect(tableLine(columns, ["abcdefg", "7", "rest\nof it"], 20)).toBe("abcd…    7 rest⏎of …");
    expect(tableLine(columns, ["a", "7"], 8)).toBe("a      …");
  });
});

describe("rows of sections", () => {
  it("are shared so that everybody shows something and the one in focus most", () => {
    expect(allotRows([10, 10, 10], 0, 30)).toEqual([10, 10, 10]);
    expect(allotRows([10, 10, 10], 1, 15)).toEqual([3, 10, 2]);
    expect(allotRows([10, 1, 10], 0, 8)).toEqual([5, 1, 2]);
    expect(allotRows([0, 0, 50], 0, 8)).toEqual([0, 0, 8]);
    expect(allotRows([5, 5], 0, 0)).toEqual([0, 0]);
  });
});

describe("the part of a list that is shown", () => {
  it("holds the cursor", () => {
    expect(windowStart(5, 10, 4)).toBe(0);
    expect(windowStart(100, 10, 0)).toBe(0);
    expect(windowStart(100, 10, 50)).toBe(45);
    expect(windowStart(100, 10, 99)).toBe(90);
  });
});
