import { existsSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { cleanEnvironment, runProgram } from "../../server/testing/deployment.ts";
import { guardFolder, storeFolder } from "../../server/testing/keep.ts";
import { endAllUnder, processesUnder } from "../../server/testing/processes-under.ts";
import type { Acceptance } from "../accept/run-accept.ts";

const TIMEOUT_MS = 10 * 60_000;

/** Runs `accept` with files of its own, and looks whether it leaves anything running. */
async function accept(...args: readonly string[]) {
  const folder = await storeFolder("accept");
  await guardFolder(folder);
  onTestFinished(async () => {
    await endAllUnder(folder);
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  });
  const home = join(folder, "home");
  await mkdir(home, { mode: 0o700 });
  const env = { ...cleanEnvironment(home), TMPDIR: folder };
  const run = await runProgram(["accept", ...args, "--json"], { env, timeoutMs: TIMEOUT_MS });
  return { run, left: processesUnder(folder) };
}

describe("accept", { timeout: TIMEOUT_MS }, () => {
  // The burst is judged by times, which a machine that runs other tests beside it cannot promise; the kills are those of
  // the short matrix. Both are for whoever has the machine alone.
  it("finds availability and isolation as the customer asks for them", async () => {
    const { left, run } = await accept("--quick", "--only", "availability", "cross-talk");
    const { criteria, promises, report, verdict } = run.json() as Acceptance;
    expect(criteria.flatMap(({ findings }) => findings)).toEqual([]);
    expect(criteria.map((one) => [one.name, one.verdict])).toEqual([
      ["availability", "pass"],
      ["cross-talk", "pass"],
    ]);
    const [availability, crossTalk] = criteria;
    expect(Number(availability?.measured["requests"])).toBeGreaterThan(400);
    expect(Number(crossTalk?.measured["sessions"])).toBeGreaterThanOrEqual(1_000);
    expect(Number(crossTalk?.measured["tenants"])).toBeGreaterThanOrEqual(20);
    expect(promises.map(({ verdict: of }) => of)).not.toContain("fail");
    expect(verdict).toBe("pass");
    expect(run.exitCode).toBe(0);
    for (const file of [report, ...criteria.flatMap(({ evidence }) => evidence)])
      expect(existsSync(file)).toBe(true);
    expect(left).toEqual([]);
  });

  it("refuses a criterion that there is not, with the list", async () => {
    const { run } = await accept("--only", "speed");
    expect(run.exitCode).toBe(2);
    expect(run.stdout).toContain("availability");
  });
});
