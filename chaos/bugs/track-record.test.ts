import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { PLANTED_BUGS } from "./index.ts";

const text = readFileSync(new URL("../TRACK_RECORD.md", import.meta.url), "utf8");

/** Cells of the table's rows below that heading. */
function tableBelow(heading: string): string[][] {
  const section = text.split(`\n## ${heading}\n`)[1]?.split("\n## ")[0] ?? "";
  const lines = section.split("\n").filter((line) => line.startsWith("|"));
  return lines.slice(2).map((line) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

describe("the track record", () => {
  it("lists the planted bugs as they are in code, in their order", () => {
    expect(tableBelow("Planted bugs")).toEqual(
      PLANTED_BUGS.map(({ name, promise, trial, what }) => [`\`${name}\``, what, promise, trial]),
    );
  });

  it("says of every real bug how to see it again", () => {
    for (const row of tableBelow("Bugs of the product")) expect(row.every((cell) => cell !== "")).toBe(true);
  });
});
