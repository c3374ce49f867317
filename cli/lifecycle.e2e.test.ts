import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
import { machineProcesses } from "../server/supervisor/machine.ts";
import type { DeploymentView } from "../server/supervisor/view.ts";
import { until } from "../server/testing/until.ts";
import { lastingView } from "./testing/lasting-view.ts";

const BIN = fileURLToPath(new URL("../bin/openclaw-ha", import.meta.url));

interface Run {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The program as a user runs it, in a home of its own that nobody else may look into. */
async function home() {
  const folder = await mkdtemp(path.join(tmpdir(), "openclaw-ha-e2e-"));
  const env = { PATH: process.env["PATH"], HOME: folder, XDG_STATE_HOME: path.join(folder, "state") };
  const dataDir = path.join(folder, "state", "openclaw-ha", "default");
  const run = (...args: string[]): Promise<Run> =>
    new Promise((resolve) => {
      const child = execFile(BIN, args, { env, cwd: folder }, (error, stdout, stderr) => {
        resolve({
          code: typeof error?.code === "number" ? error.code : error === null ? 0 : -1,
          stdout,
          stderr,
        });
      });
      child.stdin?.end();
    });
  const json = async <T>(...args: string[]): Promise<T> =>
    JSON.parse((await run(...args, "--json")).stdout) as T;
  const status = (): Promise<DeploymentView> => json<DeploymentView>("status");
  onTestFinished(async () => {
    await run("down");
    await rm(folder, { recursive: true, force: true });
  });
  return { folder, dataDir, run, json, status };
}

const pids = (view: DeploymentView): number[] =>
  [
    ...view.instances.map(({ pid }) => pid ?? 0),
    ...Object.values(view.stores).map(({ pid }) => pid ?? 0),
    view.demoModel?.pid ?? 0,
    view.supervisor.pid ?? 0,
  ].filter((pid) => pid > 0);

/** What has ended and waits for init to notice runs no longer. */
const isAlive = (pid: number): boolean => machineProcesses.identify(pid) !== null;

describe("a deployment's life on the command line", () => {
  it("comes up with one command, says how it is, and goes without leaving anything behind", async () => {
    const { dataDir, json, run, status } = await home();
    expect(await status()).toMatchObject({ phase: "stopped", instances: [], gateway: null });

    const up = await run("up", "v2", "--port", "0", "--gateways", "1", "--workers", "1", "--json");
    expect(up).toMatchObject({ code: 0 });
    const view = JSON.parse(up.stdout) as DeploymentView;
    expect(view).toMatchObject({ name: "default", topology: "v2", phase: "ready", dataDir });
    expect(view.instances.map(({ id, state }) => `${id} ${state}`)).toEqual([
      "gateway-1 ready",
      "worker-1 ready",
      "control-1 ready",
    ]);
    expect(up.stderr).toContain("starting PostgreSQL\n");
    expect((await fetch(`${view.gateway!.httpUrl}/readyz`)).status).toBe(200);
    for (const { url } of view.instances) {
      expect((await fetch(`${url!.replace("ws:", "http:")}/readyz`)).status).toBe(200);
    }
    expect(lastingView(await status())).toEqual(lastingView(view));

    const logs = await run("logs", "gateway", "--lines", "5");
    expect(logs.stdout).toMatch(/^\d\d:\d\d:\d\d\.\d{3} gateway-1 +info /);
    expect((await run("logs", "nobody")).code).toBe(1);

    expect(await json("down")).toMatchObject({ phase: "stopped", stopped: true, purged: false });
    expect(pids(view).filter(isAlive)).toEqual([]);
    expect(await status()).toMatchObject({ phase: "stopped", supervisor: { pid: null } });
    expect((await run("down")).code).toBe(0);

    const refused = await run("down", "--purge");
    expect(refused).toMatchObject({ code: 2 });
    expect(refused.stderr).toContain("--yes");
    expect(await json("down", "--purge", "--yes")).toMatchObject({ purged: true });
    expect(existsSync(dataDir)).toBe(false);
  });

  it("keeps working when its supervisor is killed, and heals once there is another", async () => {
    const { run, status } = await home();
    expect((await run("up", "--port", "0")).code).toBe(0);
    const before = await status();
    process.kill(before.supervisor.pid!, "SIGKILL");
    await until(async () => (await status()).supervisor.pid === null);
    expect(await status()).toMatchObject({ phase: "degraded" });
    expect((await fetch(`${before.gateway!.httpUrl}/readyz`)).status).toBe(200);

    expect((await run("up")).code).toBe(0);
    const after = await status();
    expect(after.instances).toEqual(before.instances);
    const victims = ["gateway-1", "worker-2", "control-1"];
    for (const { id, pid } of after.instances) if (victims.includes(id)) process.kill(pid!, "SIGKILL");
    const healed = await until(
      async () => {
        const now = await status();
        const restarted = now.instances.filter(({ restarts }) => restarts > 0);
        return now.phase === "ready" && restarted.length === victims.length && now;
      },
      { timeoutMs: 30_000 },
    );
    expect(healed.instances.map(({ id, url }) => ({ id, url }))).toEqual(
      before.instances.map(({ id, url }) => ({ id, url })),
    );
  });

  it("refuses what cannot be, with the right exit code, before anything is started", async () => {
    const { folder, run } = await home();
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void taken.close());
    const { port } = taken.address() as AddressInfo;
    const config = path.join(folder, "openclaw.json");
    await writeFile(config, '{ agents: { list: [ { id: 7 } ] }, gateway: { auth: { token: ["no"] } } }');
    await writeFile(path.join(folder, "file"), "");

    const cases: readonly (readonly [readonly string[], number, RegExp])[] = [
      [["up", "v1"], 2, /v1 is not part of this release yet/],
      [["up", "--users", "a,b"], 2, /--users belongs to v1/],
      [["up", "--workers", "few"], 2, /--workers/],
      [["up", "--port", String(port)], 78, new RegExp(`port ${port} .* is taken`)],
      [["up", "--openclaw-config", config], 78, /openclaw\.json:1:\d+/],
      [["--data-dir", path.join(folder, "file"), "up"], 78, /cannot be written/],
      [
        ["up", "--port", "0", "--redis-url", "redis://127.0.0.1:1"],
        69,
        /Redis does not answer at 127\.0\.0\.1:1/,
      ],
      [
        ["up", "--port", "0", "--postgres-url", "postgres://127.0.0.1:1/x"],
        69,
        /127\.0\.0\.1:1|ECONNREFUSED/,
      ],
    ];
    for (const [args, code, message] of cases) {
      const failed = await run(...args);
      expect({ args, ...failed }).toEqual({
        args,
        code,
        stdout: "",
        stderr: expect.stringMatching(message) as unknown,
      });
    }
    expect((await run("down")).code).toBe(0);
  });
});
