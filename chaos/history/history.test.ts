import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { HAError } from "../../server/core/errors.ts";
import { fakeClock } from "../../server/testing/fake-clock.ts";
import { parseHistory, readHistory } from "./reader.ts";
import { type HeaderFacts, openHistory } from "./writer.ts";

const FACTS: HeaderFacts = {
  scenario: "worker-killed",
  claim: "a worker may die",
  seed: 7,
  target: "process",
  gateways: 2,
  workers: 2,
  tenants: [{ id: "a", canary: "canary-a" }],
  plantedBug: null,
  command: "openclaw-ha chaos run worker-killed --seed 7",
};

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "chaos-history-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const refusal = (read: () => unknown): HAError => {
  try {
    read();
  } catch (error) {
    return error as HAError;
  }
  throw new Error("it was read");
};

async function written(end: "end" | "abandon"): Promise<string> {
  const clock = fakeClock();
  const file = join(folder, `${end}.jsonl`);
  const history = openHistory(file, FACTS, clock);
  await clock.advance(1_500);
  history.write({ type: "note", text: "warmed up" });
  history.write({
    type: "fault",
    id: "f1",
    kind: "signal",
    subject: "worker-1",
    phase: "shown",
    detail: "gone",
  });
  if (end === "end") history.end(true);
  else history.abandon();
  return file;
}

describe("a history", () => {
  it("is read back as it was written, with times since the start", async () => {
    const { header, records, end } = readHistory(await written("end"));
    expect(header).toMatchObject({ ...FACTS, version: 1 });
    expect(records).toMatchObject([
      { type: "note", at: 1_500, text: "warmed up" },
      { type: "fault", at: 1_500, phase: "shown" },
    ]);
    expect(end).toMatchObject({ records: 2, settled: true });
  });

  it("that was interrupted holds everything up to then, and is refused as cut off", async () => {
    const file = await written("abandon");
    expect(readFileSync(file, "utf8").trim().split("\n")).toHaveLength(3);
    const error = refusal(() => readHistory(file));
    expect(error).toMatchObject({ code: "REQUEST_INVALID" });
    expect(error.message).toContain("was cut off");
  });

  it("drops what comes after its end", () => {
    const file = join(folder, "late.jsonl");
    const history = openHistory(file, FACTS, fakeClock());
    history.end(true);
    history.write({ type: "note", text: "late" });
    expect(readHistory(file).records).toEqual([]);
  });

  it("is refused with a torn line, a missing one, another version, or no file at all", async () => {
    const text = readFileSync(await written("end"), "utf8");
    const lines = text.trimEnd().split("\n");
    const cases: readonly (readonly [string, RegExp])[] = [
      [text.slice(0, -5), /torn|no JSON/],
      [`${[lines[0], lines[1], lines[3]].join("\n")}\n`, /says it has 2 records, and has 1/],
      [text.replace('"version":1', '"version":2'), /is of version 2; this release reads 1/],
      ["", /cut off/],
      [text.replace('"phase":"shown"', '"phase":"guessed"'), /line 3: phase/],
    ];
    for (const [broken, message] of cases) {
      expect(refusal(() => parseHistory(broken, "h")).message).toMatch(message);
    }
    expect(refusal(() => readHistory(join(folder, "none"))).message).toContain("cannot be read");
  });
});
