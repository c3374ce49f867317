import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { until } from "../server/testing/until.ts";
import { findProfile, scaled } from "./plan.ts";
import { type LoadTest, runLoadTest } from "./run.ts";

/**
 * What becomes of a run whose k6 does not do what it should. Each k6 here is a few lines of Node in its place: it
 * finds the plan as the real one does, and writes the samples and the summary that the case is about.
 */
const PRELUDE = `#!/usr/bin/env node
const { readFileSync, writeFileSync } = require("node:fs");
const plan = JSON.parse(readFileSync(process.env.LOADTEST_PLAN, "utf8"));
const clients = plan.groups.reduce((sum, group) => sum + group.clients, 0);
const trend = { values: { count: 9, min: 1, med: 5, "p(95)": 8, "p(99)": 9, max: 9 } };
const count = (n) => ({ values: { count: n, rate: 1 } });
const metrics = Object.fromEntries(["ack", "queue_wait", "first_delta", "end_to_end"].map((name) => ["oc_" + name, trend]));
const summary = (more = {}) => writeFileSync(plan.summaryFile, JSON.stringify({ metrics: {
  ...metrics, oc_requests: count(100), oc_clients: count(clients), oc_sent: count(50), oc_ended: count(50), ...more } }));
const sample = (metric, value, tags) => process.stdout.write(JSON.stringify({ metric, type: "Point",
  data: { time: new Date().toISOString(), value, tags: { class: "users", phase: "steady", ...tags } } }) + "\\n");
`;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "loadtest-run-"));
  return () => rm(folder, { recursive: true, force: true });
});

let test: Omit<LoadTest, "k6">;
let told: string[];
let abort: AbortController;
beforeEach(() => {
  told = [];
  abort = new AbortController();
  test = {
    profile: scaled(findProfile("smoke"), { clients: 4 }),
    target: {
      description: "nothing",
      tenants: [{ id: "default", url: "ws://127.0.0.1:1", token: "hush-hush" }],
      httpUrl: null,
      processes: null,
    },
    env: process.env,
    reportDir: path.join(folder, `report-${Math.random()}`),
    baseline: null,
    command: "openclaw-ha loadtest smoke",
    progress: (text) => void told.push(text),
    warning: (text) => void told.push(`warning: ${text}`),
    signal: abort.signal,
  };
});

let programs = 0;
async function k6(script: string): Promise<string> {
  const file = path.join(folder, `k6-${++programs}.cjs`);
  await writeFile(file, PRELUDE + script);
  await chmod(file, 0o700);
  return file;
}

const run = async (script: string) => runLoadTest({ ...test, k6: await k6(script) });

describe("a k6 that does its work", () => {
  it("gives a verdict, and a report and a result beside each other", async () => {
    const result = await run(`sample("oc_sent", 1); sample("oc_ack", 5); summary();`);
    expect(result).toMatchObject({ verdict: "pass", requests: 100, ackMs: { p50: 5, p99: 9 }, clients: 4 });
    expect((await readdir(test.reportDir)).sort()).toEqual(["report.html", "result.json"]);
    expect(await readFile(result.report, "utf8")).toContain("Load test: smoke");
  });

  it("fails the run when a promise is missed, which the report names", async () => {
    const result = await run(`metrics.oc_ack = { values: { ...trend.values, "p(99)": 900 } }; summary();`);
    expect(result.verdict).toBe("fail");
    expect(result.thresholds.filter(({ ok }) => !ok).map(({ name }) => name)).toEqual([
      "acknowledgement p99",
    ]);
    expect(await readFile(result.report, "utf8")).toContain("Not so in this run: acknowledgement p99.");
  });

  it("is told the token by a file that only we can read, never by an argument; nothing of it stays", async () => {
    const look = path.join(folder, "look.json");
    await run(`
      const { statSync } = require("node:fs");
      writeFileSync(${JSON.stringify(look)}, JSON.stringify({ mode: statSync(process.env.LOADTEST_PLAN).mode & 0o777,
        file: process.env.LOADTEST_PLAN, shown: process.argv.join(" ") + JSON.stringify(process.env), token: plan.tenants[0].token }));
      summary();`);
    const seen = JSON.parse(await readFile(look, "utf8")) as {
      mode: number;
      file: string;
      shown: string;
      token: string;
    };
    expect(seen.token).toBe("hush-hush");
    expect(seen.mode).toBe(0o600);
    expect(seen.shown).not.toContain("hush-hush");
    await expect(readFile(seen.file)).rejects.toThrow("ENOENT");
    for (const name of ["report.html", "result.json"]) {
      expect(await readFile(path.join(test.reportDir, name), "utf8")).not.toContain("hush-hush");
    }
  });

  it("finds the plan, with its tokens, gone once its clients are at work", async () => {
    await expect(
      run(`
        const { existsSync } = require("node:fs");
        sample("oc_connect", 1);
        const wait = setInterval(() => {
          if (existsSync(process.env.LOADTEST_PLAN)) return;
          clearInterval(wait);
          summary();
        }, 20);`),
    ).resolves.toMatchObject({ verdict: "pass" });
  });
});

describe("a k6 that does not", () => {
  it.each([
    [
      "ends with an error",
      `summary(); console.error('level=error msg="it broke"'); process.exit(107);`,
      /exit code 107.*no result/,
    ],
    ["writes no summary", `sample("oc_sent", 1);`, /without a summary/],
    ["writes something else", `writeFileSync(plan.summaryFile, "{}");`, /summary that cannot be read/],
    [
      "loses clients on the way",
      `summary({ oc_clients: count(clients - 1) });`,
      /1 of 4 clients did not come to their end/,
    ],
    ["is killed", `process.kill(process.pid, "SIGKILL");`, /ended by SIGKILL/],
  ])("and %s is an error, not a pass", async (_what, script, message) => {
    await expect(run(script)).rejects.toThrow(message);
    expect(existsSync(test.reportDir)).toBe(false);
  });

  it("leaves alone what was in the folder of the report before", async () => {
    await mkdir(test.reportDir);
    await writeFile(path.join(test.reportDir, "result.json"), "of the last run");
    await expect(run("process.exit(1);")).rejects.toThrow("no result");
    expect(await readFile(path.join(test.reportDir, "result.json"), "utf8")).toBe("of the last run");
  });

  it("says why, in its own words", async () => {
    const script = `console.error('time="x" level=error msg="GoError: boom"'); process.exit(1);`;
    await expect(run(script)).rejects.toMatchObject({ details: { hint: "GoError: boom" } });
  });

  it("cannot be started at all: that is told as something missing", async () => {
    const missing = runLoadTest({ ...test, k6: path.join(folder, "nowhere") });
    await expect(missing).rejects.toMatchObject({ code: "MISSING_DEPENDENCY" });
  });
});

describe("an interrupted run", () => {
  const alive = (pid: number): boolean => {
    try {
      return process.kill(pid, 0);
    } catch {
      return false;
    }
  };

  /** Starts it, interrupts it, and answers whether it still runs. */
  const interrupted = async (script: string): Promise<boolean> => {
    const pidFile = path.join(folder, `pid-${programs}`);
    const running = run(
      `${script} writeFileSync(${JSON.stringify(pidFile)}, String(process.pid)); setInterval(() => {}, 1000);`,
    );
    const caught = running.catch((error: unknown) => error);
    const pid = await until(async () => Number(await readFile(pidFile, "utf8").catch(() => "")) || null);
    abort.abort(new DOMException("ended by SIGINT", "AbortError"));
    expect(await caught).toMatchObject({ name: "AbortError" });
    expect(existsSync(test.reportDir)).toBe(false);
    return alive(pid);
  };

  it("asks k6 to end, and leaves no process and no report", async () => {
    const farewell = path.join(folder, "farewell");
    const script = `process.on("SIGINT", () => { writeFileSync(${JSON.stringify(farewell)}, "bye"); process.exit(105); });`;
    expect(await interrupted(script)).toBe(false);
    expect(await readFile(farewell, "utf8")).toBe("bye");
  }, 20_000);

  it("kills a k6 that does not obey", async () => {
    expect(await interrupted(`process.on("SIGINT", () => {});`)).toBe(false);
  }, 20_000);
});
