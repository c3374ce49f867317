import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { startDeployment, type TestDeployment } from "../server/testing/deployment.ts";
import { until } from "../server/testing/until.ts";
import type { LoadTestResult } from "./result.ts";

/** The real k6 against a real deployment: short, and slow machines are given time where a test is not about time. */
let deployment: TestDeployment;
beforeAll(async () => {
  deployment = await startDeployment({ gateways: 2, workers: 1 });
  return () => deployment.close();
});

const smoke = (...args: string[]) =>
  deployment.cli(["loadtest", "smoke", "--duration", "5s", "--rate", "8", ...args, "--json"]);

const k6Processes = (): number =>
  deployment.processes().filter(({ command }) => /\bk6 run\b/.test(command)).length;

const PERCENTILES = {
  p50: expect.any(Number),
  p95: expect.any(Number),
  p99: expect.any(Number),
  max: expect.any(Number),
};

describe("loadtest smoke", () => {
  let first: LoadTestResult;

  it("says everything that a client does: sent, streamed, read back, aborted, reconnected, and nothing failed", async () => {
    const result = await smoke();
    expect(result.stderr).toMatch(/sent\/s .* ack p99/);
    first = result.json() as LoadTestResult;
    expect(first).toMatchObject({
      profile: "smoke",
      requests: expect.any(Number),
      errors: { client: 0, overload: 0, unplanned: 0 },
      ackMs: PERCENTILES,
      firstDeltaMs: PERCENTILES,
      endToEndMs: PERCENTILES,
      queueWaitMs: PERCENTILES,
      reconnectGapMs: expect.any(Object),
      reasons: [],
      report: expect.stringContaining(path.join(deployment.dataDir, "loadtest", "smoke-")),
    });
    // A machine too busy to be in time is no fault of the load test; everything else must be as promised.
    const late = first.thresholds.filter(({ ok, unit }) => !ok && unit === "ms");
    expect(first.thresholds.filter(({ ok }) => !ok)).toEqual(late);
    expect(first.verdict).toBe(late.length === 0 ? "pass" : "fail");
    expect(result.exitCode).toBe(late.length === 0 ? 0 : 1);
    expect(first.messages.sent).toBeGreaterThan(15);
    expect(first.messages.ended).toBe(first.messages.sent);
    expect(first.historyMs.p50).toBeGreaterThan(0);
    expect(first.abortMs.p50).toBeGreaterThan(0);
    // Five pieces with 50 ms between them, and 50 before: nothing can be faster than the model.
    expect(first.endToEndMs.p50).toBeGreaterThan(250);
  });

  it("says how much of the machine it took itself, and how much the deployment did", () => {
    const { cpu, machineShare } = first.generator;
    expect(cpu?.generator).toBeGreaterThan(0);
    expect(cpu?.deployment).toBeGreaterThan(0);
    expect(Object.keys(cpu?.deploymentByKind ?? {})).toEqual(
      expect.arrayContaining(["gateway", "worker", "postgres"]),
    );
    expect(cpu?.machine).toBeGreaterThanOrEqual((cpu?.generator ?? 0) * 0.5);
    expect(machineShare).toBeGreaterThan(0);
    expect(machineShare).toBeLessThan(1);
  });

  it("writes one HTML file that needs nothing else and has no secret in it", async () => {
    const report = await readFile(first.report, "utf8");
    expect(report).toContain("<h1>Load test: smoke");
    expect(report.match(/<svg /g)?.length).toBeGreaterThanOrEqual(6);
    expect(report).not.toMatch(/<script|<link|src=|@import|url\(/);
    const { OPENCLAW_GATEWAY_TOKEN: token } = await deployment.env();
    expect(report).not.toContain(token);
    expect(await readFile(path.join(path.dirname(first.report), "result.json"), "utf8")).not.toContain(token);
  });

  it("names the promise that a stopped worker breaks, ends with exit code 1, and compares with the run before", async () => {
    const worker = await deployment.pidOf("worker-1");
    const running = smoke();
    await until(() => k6Processes() > 0, { what: "k6" });
    // For longer than a first piece may take, and not for so long that its runs are taken from it.
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    process.kill(worker, "SIGSTOP");
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    process.kill(worker, "SIGCONT");
    const result = await running;
    const { verdict, thresholds, report, errors } = result.json() as LoadTestResult;
    expect(result.exitCode).toBe(1);
    expect(verdict).toBe("fail");
    expect(errors.client).toBe(0);
    expect(thresholds.filter(({ ok }) => !ok).map(({ name }) => name)).toContain("first delta p99");
    expect(result.stderr).toMatch(/warning: missed: .*first delta p99/);
    const page = await readFile(report, "utf8");
    expect(page).toContain("Against the baseline");
    expect(page).toContain("Not so in this run");
    await deployment.ready();
  });

  it("interrupted leaves no k6 and no result", async () => {
    const interrupt = new AbortController();
    const cut = path.join(deployment.folder, "cut");
    const running = deployment.cli(["loadtest", "smoke", "--report", cut, "--json"], {
      signal: interrupt.signal,
    });
    await until(() => k6Processes() > 0, { what: "k6" });
    interrupt.abort();
    const ended = await running;
    expect([130, 143]).toContain(ended.exitCode);
    expect(ended.stdout).toBe("");
    expect(k6Processes()).toBe(0);
    expect(existsSync(cut)).toBe(false);
  });

  it("is refused while the deployment is not ready, with the reason", async () => {
    await deployment.cli(["down"]);
    const result = await smoke();
    expect(result.exitCode).toBe(69);
    expect(result.json()).toMatchObject({
      error: { code: "NOT_RUNNING", message: expect.stringContaining("stopped") },
    });
  });
});
