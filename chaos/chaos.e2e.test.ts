import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { cleanEnvironment, PROGRAM, runProgram, startDeployment } from "../server/testing/deployment.ts";
import { guardFolder, storeFolder } from "../server/testing/keep.ts";
import { endAllUnder, processesUnder } from "../server/testing/processes-under.ts";
import { until } from "../server/testing/until.ts";
import type { ChaosSummary } from "./summary.ts";

/** Holds everything of one test: HOME, the temporary folder in which chaos works, and reports. */
let folder: string;
let env: Record<string, string>;

beforeEach(async () => {
  folder = await storeFolder("chaos");
  await guardFolder(folder);
  const home = join(folder, "home");
  const temporary = join(folder, "tmp");
  await mkdir(home, { mode: 0o700 });
  await mkdir(temporary, { mode: 0o755 });
  env = { ...cleanEnvironment(home), TMPDIR: temporary };
});
afterEach(async () => {
  await endAllUnder(folder);
  await rm(folder, { recursive: true, force: true, maxRetries: 3 });
});

const chaos = (...args: readonly string[]) =>
  runProgram(["chaos", ...args], { env, cwd: folder, timeoutMs: 170_000 });

/** A run in the background, with what it has said so far. */
function begin(...args: readonly string[]): { readonly child: ChildProcess; readonly said: () => string } {
  const child = spawn(PROGRAM, ["chaos", "run", ...args], {
    env,
    cwd: folder,
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (said += text));
  return { child, said: () => said };
}

const says = (run: ReturnType<typeof begin>, what: string): Promise<true> =>
  until(() => run.said().includes(what) || null, { timeoutMs: 60_000, what: `${what} in: ${run.said()}` });

/** Processes and folders that a run should have taken away. */
async function left(): Promise<string[]> {
  const places = await readdir(join(folder, "tmp"));
  const runs = await Promise.all(
    places
      .filter((name) => name.startsWith("openclaw-ha-chaos-"))
      .map((name) => readdir(join(folder, "tmp", name))),
  );
  return [...processesUnder(folder).map(({ command }) => command), ...runs.flat()];
}

describe("chaos run", () => {
  it("records, judges and reports a run, which can be judged again", async () => {
    const report = join(folder, "report");
    const ran = await chaos("run", "gateway-killed", "--seed", "3", "--report", report, "--json");
    expect(ran.stderr).toContain("gateway-killed: kill gateway-");
    expect(ran).toMatchObject({ exitCode: 0 });
    const summary = ran.json() as ChaosSummary;
    expect(summary).toMatchObject({ verdict: "pass", seed: 3, report: join(report, "report.html") });
    expect(summary.scenarios).toMatchObject([{ name: "gateway-killed", seed: 3, verdict: "pass" }]);
    expect(summary.promises.map(({ name }) => name)).toEqual(expect.arrayContaining(["fifo", "resumable"]));
    for (const { checked } of summary.promises) expect(checked).toBeGreaterThan(10);
    expect(await left()).toEqual([]);

    const dir = join(report, "gateway-killed-3");
    const again = await chaos("judge", dir, "--json");
    expect(again).toMatchObject({ exitCode: 0 });
    expect((again.json() as ChaosSummary).promises).toEqual(summary.promises);
    const page = await readFile(join(dir, "report.html"), "utf8");
    for (const part of ["gateway-killed", "PASS", "<svg", "chaos run gateway-killed --seed 3"])
      expect(page).toContain(part);
    expect(page).not.toMatch(/<script|src="http|href="http/);

    // An answer that is not what was stored.
    const file = join(dir, "history.jsonl");
    const history = await readFile(file, "utf8");
    await writeFile(file, history.replaceAll(/("state":"final".*?"text":")You/g, "$1They"));
    const broken = await chaos("judge", dir);
    expect(broken).toMatchObject({ exitCode: 1 });
    expect(broken.stdout).toContain("broken: no-lost-ack");

    await writeFile(file, history.slice(0, history.length / 2));
    const cut = await chaos("judge", dir);
    expect(cut).toMatchObject({ exitCode: 2 });
    expect(cut.stderr).toContain("was cut off");
    await writeFile(file, history.replace('"version":1', '"version":9'));
    const other = await chaos("judge", dir);
    expect(other).toMatchObject({ exitCode: 2 });
    expect(other.stderr).toContain("is of version 9");
  });

  it("leaves nothing behind when it is interrupted, not even a whole history", async () => {
    const run = begin("worker-killed", "--report", join(folder, "report"));
    await says(run, "kill worker-");
    expect(await left()).not.toEqual([]);
    run.child.kill("SIGINT");
    const [code] = (await once(run.child, "exit")) as [number];
    expect(code).toBe(130);
    expect(await left()).toEqual([]);
    const judged = await chaos("judge", join(folder, "report"));
    expect(judged).toMatchObject({ exitCode: 2 });
    expect(judged.stderr).toContain("was cut off");
  });

  it("ends what a run that was killed has left behind", async () => {
    const killed = begin("slow-network", "--report", join(folder, "report"));
    await says(killed, "traffic for");
    killed.child.kill("SIGKILL");
    await once(killed.child, "exit");
    expect(processesUnder(folder).length).toBeGreaterThan(5);
    const next = begin("worker-killed", "--report", join(folder, "report"));
    await says(next, "ending what an earlier run left");
    await says(next, "starting 2 gateways");
    next.child.kill("SIGINT");
    await once(next.child, "exit");
    expect(await left()).toEqual([]);
  });

  it("names the nearest scenario for one that there is not", async () => {
    const run = await chaos("run", "worker-kiled", "--json");
    expect(run).toMatchObject({ exitCode: 2 });
    expect(run.json()).toMatchObject({ error: { details: { nearest: "worker-killed" } } });
    const list = (await chaos("list", "--json")).json() as { name: string; claim: string }[];
    expect(list.length).toBeGreaterThanOrEqual(20);
    expect(run.stdout).toContain(list.at(-1)?.name);
  });
});

describe("a running deployment", () => {
  it("is refused while it is sick, and broken where it stands when it is well", async () => {
    const deployment = await startDeployment({ gateways: 2, workers: 2 });
    const attached = (...args: readonly string[]) =>
      deployment.cli(["chaos", "run", "redis-flushed", "--target", "attach", ...args], {
        timeoutMs: 120_000,
      });
    try {
      const redis = await deployment.pidOf("redis");
      process.kill(redis, "SIGSTOP");
      const sick = await attached("--report", join(folder, "sick"));
      process.kill(redis, "SIGCONT");
      expect(sick).toMatchObject({ exitCode: 69 });
      expect(sick.stderr).toContain("redis does not answer");
      await deployment.ready();
      const well = await attached("--report", join(folder, "well"), "--json");
      expect(well).toMatchObject({ exitCode: 0 });
      expect(well.json()).toMatchObject({ verdict: "pass" });
      expect((await deployment.status()).phase).toBe("ready");
    } finally {
      await deployment.close();
    }
  });
});
