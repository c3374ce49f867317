import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { parse } from "yaml";
import { type CostFigures, FIGURES_FILE, parseCostFigures } from "../../loadtest/cost-figures.ts";
import { runCli } from "../testing/run-cli.ts";
import { compareCosts, costOf, type CostQuestion, type CostReport, DEFAULT_QUESTION } from "./model.ts";

const ROOT = new URL("../../", import.meta.url);
const share = (memoryBytes: number, cores: number, diskBytes: number) => ({ memoryBytes, cores, diskBytes });

/** Round numbers, so that every sum can be done in one's head. */
const POOLS = {
  setup: "pools",
  base: share(2e9, 0.1, 1e9),
  user: share(0, 0, 1e6),
  online: share(1e6, 0, 0),
  active: share(10e6, 0.01, 0),
  run: { cpuSeconds: 0.864, diskBytes: 1_000 },
  growth: [{ what: "worker", per: "active" as const, every: 10, included: 2, each: share(1e9, 0.5, 0) }],
};
const FIGURES: CostFigures = {
  version: 1,
  measuredAt: "2026-01-02",
  machine: { cpu: "a cpu", cores: 2, memoryBytes: 4e9, node: "24" },
  topologies: { v0: null, v1: null, v2: POOLS },
};
const QUESTION: CostQuestion = {
  currency: "EUR",
  prices: { memoryGbMonth: 2, cpuMonth: 10, diskGbMonth: 1 },
  usage: {
    users: 1_000,
    onlineShare: 0.5,
    activeShare: 0.03,
    runsPerUserDay: 12,
    peakToAverage: 2,
    keepMonths: 12,
    cpuUtilization: 0.5,
  },
};

async function world() {
  const cwd = await mkdtemp(path.join(tmpdir(), "openclaw-ha-cost-"));
  onTestFinished(() => rm(cwd, { recursive: true }));
  const figures = path.join(cwd, "figures.json");
  await writeFile(figures, JSON.stringify(FIGURES));
  const config = path.join(cwd, "openclaw-ha.yaml");
  const prices = "prices: { memoryGbMonth: 2, cpuMonth: 10, diskGbMonth: 1 }";
  await writeFile(config, `cost:\n  currency: CHF\n  ${prices}\n  usage: { users: 1000, keepMonths: 3 }\n`);
  const cost = (...args: string[]) =>
    runCli(["--config", config, "cost", "--figures", figures, ...args], { cwd });
  return { cwd, cost };
}

describe("what a topology costs", () => {
  it("is its parts, times how many there are of each, times the prices", () => {
    // 2 GB, 500 connected x 1 MB, 30 active x 10 MB, one worker more than the two that are included: 1 GB.
    // Cores 0.1 + 30 x 0.01 + 0.5, and 12,000 runs a day x 2 / 86,400 s x 0.864 s = 0.24; of which half is used.
    // Disk 1 GB, 1,000 users x 1 MB, 12,000 runs x 365 days x 1,000 bytes = 4.38 GB.
    const cost = costOf(POOLS, QUESTION);
    expect(cost.memoryGb).toBeCloseTo(3.8);
    expect(cost.cores).toBeCloseTo(2.28);
    expect(cost.diskGb).toBeCloseTo(6.38);
    expect(cost.month.memory).toBeCloseTo(7.6);
    expect(cost.month.cpu).toBeCloseTo(22.8);
    expect(cost.month.total).toBeCloseTo(7.6 + 22.8 + 6.38);
    expect(cost.perUserMonth).toBeCloseTo(cost.month.total / 1_000);
  });

  it("is told for other numbers of users, and is nothing where nothing was measured", () => {
    const { byUsers, topologies } = compareCosts(FIGURES, QUESTION);
    expect(topologies.map(({ cost, topology }) => [topology, cost === null])).toEqual([
      ["v0", true],
      ["v1", true],
      ["v2", false],
    ]);
    const thousand = byUsers.find(({ users }) => users === 1_000)?.perUserMonth;
    expect(thousand).toEqual({ v0: null, v1: null, v2: costOf(POOLS, QUESTION).perUserMonth });
    const [one, ten] = byUsers.map(({ perUserMonth }) => perUserMonth.v2 ?? 0);
    expect(one).toBeGreaterThan((ten ?? 0) * 5);
  });

  it("is asked with the numbers that the reference has", async () => {
    const reference = await readFile(new URL("templates/config/openclaw-ha.reference.yaml", ROOT), "utf8");
    expect((parse(reference) as { cost: unknown }).cost).toEqual(DEFAULT_QUESTION);
  });
});

describe("openclaw-ha cost", () => {
  it("takes flags over openclaw-ha.yaml over defaults", async () => {
    const { cost } = await world();
    const report = (await cost("--users", "7", "--cpu-month", "20.5", "--json")).json() as CostReport;
    expect(report.question).toEqual({
      currency: "CHF",
      prices: { memoryGbMonth: 2, cpuMonth: 20.5, diskGbMonth: 1 },
      usage: { ...DEFAULT_QUESTION.usage, users: 7, keepMonths: 3 },
    });
  });

  it("prints a table, a chart, the measured parts and the assumptions", async () => {
    const { cost } = await world();
    const { exitCode, stdout } = await cost();
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^1000 users, a month\n/);
    expect(stdout).toMatch(/^v0 +not measured$/m);
    expect(stdout).toMatch(/^v2 +\S+ GB +\S+ +\S+ GB +\S+ CHF +\S+ CHF$/m);
    expect(stdout).toMatch(/^v2 +█+▓+░* \S+ CHF$/m);
    expect(stdout).toMatch(/^v2 +connected user +1 MB +0 m +0 B$/m);
    expect(stdout).toContain("measured on 2026-01-02");
    expect(stdout).toContain("not counted: model calls");
  });

  it("writes a page that needs nothing from elsewhere", async () => {
    const { cost, cwd } = await world();
    const { exitCode, stderr } = await cost("--html", "cost.html");
    expect(exitCode).toBe(0);
    expect(stderr).toBe(`wrote ${path.join(cwd, "cost.html")}\n`);
    const text = await readFile(path.join(cwd, "cost.html"), "utf8");
    expect(text).toContain("<svg ");
    expect(text).toContain("not measured");
    expect(text).not.toMatch(/<script|https?:\/\//);
  });

  it.each([
    [["--users", "0"], 2, /--users/],
    [["--active-share", "1.5"], 2, /share/],
    [["--cpu-utilization", "0"], 2, /0\.01/],
    [["--memory-gb-month", "-1"], 2, /--memory-gb-month/],
    [["--figures", "nowhere.json"], 78, /nowhere\.json/],
    [["--html", "no/such/folder.html"], 78, /cannot be written/],
  ])("refuses %j", async (args, code, message) => {
    const { cost } = await world();
    const { exitCode, stderr } = await cost(...args);
    expect(exitCode).toBe(code);
    expect(stderr).toMatch(message);
  });

  it("has figures of its own, of pools at least", async () => {
    const { topologies } = parseCostFigures(await readFile(new URL(FIGURES_FILE, ROOT), "utf8"));
    expect(topologies.v2?.base.memoryBytes).toBeGreaterThan(50e6);
    expect(topologies.v2?.run.cpuSeconds).toBeGreaterThan(0);
  });
});
