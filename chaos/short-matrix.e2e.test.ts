import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { cleanEnvironment, runProgram } from "../server/testing/deployment.ts";
import { guardFolder, storeFolder } from "../server/testing/keep.ts";
import { endAllUnder } from "../server/testing/processes-under.ts";
import type { ChaosSummary } from "./summary.ts";

/** Six minutes on a quiet machine; a busy one may take its time. */
const TIMEOUT_MS = 20 * 60_000;

it("every promise holds in the short matrix", { timeout: TIMEOUT_MS }, async () => {
  const folder = await storeFolder("chaos-matrix");
  await guardFolder(folder);
  onTestFinished(async () => {
    await endAllUnder(folder);
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  });
  const home = join(folder, "home");
  await mkdir(home, { mode: 0o700 });
  const env = { ...cleanEnvironment(home), TMPDIR: folder };
  const report = join(folder, "report");
  const run = await runProgram(
    ["chaos", "run", "--matrix", "short", "--seed", "1", "--report", report, "--json"],
    {
      env,
      timeoutMs: TIMEOUT_MS,
    },
  );
  const { promises, scenarios, verdict } = run.json() as ChaosSummary;
  for (const { findings, gaps, name, reason, tookMs, verdict: of } of scenarios) {
    const pauses = gaps.map(({ fault, maxMs }) => `${fault} ${maxMs ?? "-"} ms`).join(", ");
    process.stderr.write(
      `${[name, of, `${Math.round(tookMs / 1_000)} s`, pauses, reason, ...findings].filter(Boolean).join(" · ")}\n`,
    );
  }
  expect(scenarios.flatMap(({ findings }) => findings)).toEqual([]);
  expect(promises.filter((promise) => promise.verdict !== "pass")).toEqual([]);
  expect(verdict).toBe("pass");
  expect(run.exitCode).toBe(0);
});
