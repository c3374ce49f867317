import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
import { findPostmaster } from "../adapters/local/embedded-postgres.ts";
import { findStore } from "../adapters/local/local-store.ts";
import { DEFAULT_SCALING } from "../core/scaling.ts";
import { until } from "../testing/until.ts";
import type { SupervisorClient } from "./client.ts";
import { findSupervisor } from "./client.ts";
import type { ApplyRequest, ScaleRequest } from "./contract.ts";
import type { DesiredTopology } from "./deployment.ts";
import { deploymentPaths, readDeployment } from "./deployment.ts";
import { viewFromFiles } from "./files-view.ts";
import { fileInstanceRecords } from "./instance-records.ts";
import { ensureSupervisor } from "./launch.ts";
import { machineProcesses } from "./machine.ts";
import { planChange } from "./plan.ts";
import type { DeploymentView } from "./view.ts";

const PROGRAM = fileURLToPath(new URL("./fixtures/program.ts", import.meta.url));

const DESIRED: DesiredTopology = {
  topology: "v2",
  port: 0,
  gateways: 2,
  workers: 1,
  scaling: { gateway: DEFAULT_SCALING, worker: DEFAULT_SCALING },
  dedicated: {},
  slots: null,
  openclawConfig: null,
  configRevision: null,
  logLevel: "info",
  postgres: { mode: "embedded" },
  redis: { mode: "local" },
  nats: { mode: "none" },
  objects: { mode: "directory" },
  controlUi: null,
};

/** A deployment in a folder of its own; nothing of it runs after the test. */
async function deployment() {
  const folder = await mkdtemp(path.join(tmpdir(), "openclaw-ha-supervisor-"));
  const dataDir = path.join(folder, "data");
  const told: string[] = [];
  const supervisor = (): Promise<SupervisorClient> =>
    ensureSupervisor({
      dataDir,
      name: "test",
      program: { command: process.execPath, args: ["--disable-warning=ExperimentalWarning", PROGRAM] },
      env: { PATH: process.env["PATH"], HOME: folder, FIXTURE_DIR: folder },
      progress: (text) => told.push(text),
      signal: new AbortController().signal,
    });
  const up = async (
    change: Partial<DesiredTopology> = {},
    secrets = {},
    tenants: ApplyRequest["tenants"] = [],
  ): Promise<DeploymentView> =>
    (await supervisor()).apply(
      { desired: { ...DESIRED, ...change }, secrets, tenants },
      (text) => told.push(text),
      new AbortController().signal,
    );
  const scale = async (request: ScaleRequest): Promise<DeploymentView> =>
    (await supervisor()).scale(request, (text) => told.push(text), new AbortController().signal);
  const drain = async (instance: string): Promise<DeploymentView> =>
    (await supervisor()).drain(instance, (text) => told.push(text), new AbortController().signal);
  const down = async (): Promise<void> => {
    const running = await supervisor();
    await running.stop((text) => told.push(text), new AbortController().signal);
    await until(async () => (await findSupervisor(dataDir)) === null);
  };
  const view = async (): Promise<DeploymentView> =>
    (await (await findSupervisor(dataDir))?.view()) ?? viewFromFiles(dataDir, "test");
  const journal = async (): Promise<string[]> =>
    (await readFile(path.join(folder, "journal"), "utf8").catch(() => "")).split("\n").filter(Boolean);
  onTestFinished(async () => {
    await down();
    await rm(folder, { recursive: true, force: true });
  });
  const tell = (file: string, text = ""): Promise<void> => writeFile(path.join(folder, file), text);
  const untell = (file: string): Promise<void> => rm(path.join(folder, file), { force: true });
  return { dataDir, folder, told, up, down, scale, drain, view, journal, supervisor, tell, untell };
}

/** Every process of a deployment, by what it is. */
function pidsOf(view: DeploymentView): Record<string, number> {
  const instances = [...view.instances, ...(view.demoModel === null ? [] : [view.demoModel])];
  const entries = [
    ...instances.map(({ id, pid }) => [id, pid] as const),
    ...Object.entries(view.stores).map(([name, { pid }]) => [name, pid ?? null] as const),
  ];
  return Object.fromEntries(entries.filter((entry): entry is [string, number] => entry[1] !== null));
}

/** What the folder's own notes say is running, whatever the deployment's state says. */
async function leftovers(dataDir: string): Promise<string[]> {
  const { postgres, redis, run } = deploymentPaths(dataDir);
  const stores = [(await findPostmaster(postgres)) && "postgres", (await findStore(redis)) && "redis"];
  const records = await fileInstanceRecords(run);
  return [...(await records.ids()), ...stores.filter((store) => store !== null)];
}

const alive = (pids: Record<string, number>): string[] =>
  Object.entries(pids)
    .filter(([, pid]) => machineProcesses.identify(pid) !== null)
    .map(([id]) => id);

describe("a deployment on this machine", () => {
  it("starts stores, then schema, then instances, answers on the shared port, and leaves nothing behind", async () => {
    const { down, journal, told, up, view, dataDir } = await deployment();
    const ready = await up();
    expect(ready).toMatchObject({
      name: "test",
      topology: "v2",
      phase: "ready",
      dataDir,
      tenants: [{ id: "default", pool: "shared" }],
      queue: { ready: 0, running: 0, oldestReadyMs: 0 },
      stores: {
        postgres: { mode: "embedded", healthy: true },
        redis: { mode: "local", healthy: true },
        objects: { mode: "directory", healthy: true },
      },
    });
    expect(ready.instances.map(({ id, pool, state }) => `${id} ${pool} ${state}`)).toEqual([
      "gateway-1 gateway ready",
      "gateway-2 gateway ready",
      "worker-1 worker ready",
      "control-1 control ready",
    ]);
    expect(["gateway-1", "gateway-2"]).toContain(await (await fetch(ready.gateway!.httpUrl)).text());
    expect((await journal()).slice(0, 2)).toEqual(["migrate", "prepare-tenant"]);
    expect(told).toContain("starting PostgreSQL");
    expect(told).toContain("instances ready: 5 of 5");

    const pids = pidsOf(ready);
    expect(Object.keys(pids)).toHaveLength(7);
    await down();
    expect(alive(pids)).toEqual([]);
    const stops = (await journal()).filter((line) => line.startsWith("stop"));
    expect(stops.slice(0, 2).sort()).toEqual(["stop gateway-1", "stop gateway-2"]);
    expect(stops.slice(2)).toEqual(["stop worker-1", "stop control-1", "stop demo-model"]);
    const stopped = await view();
    expect(stopped).toMatchObject({ phase: "stopped", supervisor: { pid: null } });
    expect(stopped.instances.map(({ state }) => state)).toEqual(["stopped", "stopped", "stopped", "stopped"]);
  });

  it("restarts what is killed under its old id, url and data", async () => {
    const { up, view } = await deployment();
    const before = await up();
    const old = pidsOf(before);
    for (const id of ["gateway-1", "worker-1", "redis", "postgres"]) process.kill(old[id]!, "SIGKILL");
    const now = await until(async () => {
      const seen = await view();
      const pids = pidsOf(seen);
      const renewed = Object.keys(old).every((id) => pids[id] !== undefined);
      return renewed && pids["postgres"] !== old["postgres"] && seen.phase === "ready" && seen;
    });
    expect(now.instances.map(({ id, restarts, url }) => ({ id, restarts, url }))).toEqual(
      before.instances.map(({ id, url }) => ({
        id,
        restarts: id === "gateway-1" || id === "worker-1" ? 1 : 0,
        url,
      })),
    );
    expect(now.instances.find(({ id }) => id === "gateway-1")!.pid).not.toBe(old["gateway-1"]);
  });

  it("survives the death of its supervisor, and the next one takes everything over without a restart", async () => {
    const { dataDir, up, view, journal } = await deployment();
    const before = await up();
    process.kill(before.supervisor.pid!, "SIGKILL");
    await until(() => machineProcesses.identify(before.supervisor.pid!) === null);
    expect(await view()).toMatchObject({ phase: "degraded", supervisor: { pid: null } });
    const tenants = [{ id: "default", pool: "shared" }];
    const queue = { ready: 3, running: 1, oldestReadyMs: 5 };
    const asked = await viewFromFiles(dataDir, "test", async () => ({ at: "now", tenants, queue }));
    expect(asked).toMatchObject({ phase: "degraded", tenants });
    expect(asked.queue).toEqual(queue);
    expect(await viewFromFiles(dataDir, "test", async () => null)).toMatchObject({
      queue: { stale: true },
      stores: { postgres: { healthy: false } },
    });
    expect(alive(pidsOf(before))).toHaveLength(7);

    const after = await up();
    expect(after.phase).toBe("ready");
    expect(pidsOf(after)).toEqual(pidsOf(before));
    expect((await journal()).filter((line) => line.startsWith("start"))).toHaveLength(5);

    process.kill(pidsOf(after)["worker-1"]!, "SIGKILL");
    const healed = await until(async () => {
      const seen = await view();
      return (
        seen.instances.find(({ id }) => id === "worker-1")!.restarts === 1 && seen.phase === "ready" && seen
      );
    });
    expect(pidsOf(healed)["worker-1"]).not.toBe(pidsOf(before)["worker-1"]);
  });

  it("stops everything also when the supervisor is dead", async () => {
    const { up, down } = await deployment();
    const before = await up();
    process.kill(before.supervisor.pid!, "SIGKILL");
    await until(() => machineProcesses.identify(before.supervisor.pid!) === null);
    await down();
    expect(alive(pidsOf(before))).toEqual([]);
  });

  it("replaces a supervisor that hangs", async () => {
    const { up } = await deployment();
    const before = await up();
    process.kill(before.supervisor.pid!, "SIGSTOP");
    const after = await up();
    expect(after.supervisor.pid).not.toBe(before.supervisor.pid);
    expect(machineProcesses.identify(before.supervisor.pid!)).toBeNull();
    expect(pidsOf(after)).toEqual(pidsOf(before));
  });

  it("carries out one of two starts at the same moment; the other is told so, and nothing is there twice", async () => {
    const { up, journal } = await deployment();
    const both = await Promise.allSettled([up(), up({ workers: 2 })]);
    const [won] = both.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
    const lost = both.flatMap((each) => (each.status === "rejected" ? [each.reason as unknown] : []));
    expect(lost).toMatchObject([{ code: "BUSY", message: expect.stringContaining("another") as string }]);
    const again = await up({ workers: won!.instances.filter(({ pool }) => pool === "worker").length });
    expect(pidsOf(again)).toEqual(pidsOf(won!));
    const starts = (await journal()).filter((line) => line.startsWith("start"));
    expect(new Set(starts).size).toBe(starts.length);
  });

  it("takes an order while one is under way whose client has gone", async () => {
    const { supervisor, up, told } = await deployment();
    const leaving = new AbortController();
    const running = await supervisor();
    const first = running.apply({ desired: DESIRED, secrets: {} }, (text) => told.push(text), leaving.signal);
    await until(() => told.includes("starting PostgreSQL"));
    leaving.abort(new Error("gone"));
    await expect(first).rejects.toThrow("gone");
    expect(await until(() => up({ workers: 2 }).catch(() => null))).toMatchObject({ phase: "ready" });
  });

  it("tells beforehand what an order would do, and does nothing of it; then does that and nothing else", async () => {
    const { dataDir, folder, up, view, journal, tell } = await deployment();
    const plan = async (change: Partial<DesiredTopology>, more: Partial<ApplyRequest> = {}) =>
      planChange(dataDir, { desired: { ...DESIRED, ...change }, secrets: {}, ...more }, await view());
    const everything = {
      start: ["demo-model", "gateway-1", "gateway-2", "worker-1", "control-1"],
      stop: [],
      restart: [],
      keep: [],
    };
    expect(await plan({})).toMatchObject({
      changes: true,
      instances: everything,
      stores: [
        { store: "postgres", mode: "embedded", action: "start" },
        { store: "redis", mode: "local", action: "start" },
        { store: "objects", mode: "directory", action: "use" },
      ],
    });
    expect(await readdir(folder)).toEqual([]);

    const before = pidsOf(await up({ workers: 2 }));
    const seen = [await journal(), await readFile(deploymentPaths(dataDir).state, "utf8")];
    const tenants = [
      { id: "default", pool: "vip" },
      { id: "acme", pool: "vip" },
    ];
    const wanted = { workers: 1, dedicated: { vip: 1 }, controlUi: "/ui" };
    expect(await plan({ workers: 2 })).toMatchObject({ changes: false, settings: [] });
    expect(await plan(wanted, { tenants, secrets: { natsUrl: "nats://u:hush@n" } })).toEqual({
      name: "test",
      topology: "v2",
      dataDir,
      changes: true,
      instances: {
        start: ["worker-vip-1"],
        stop: ["worker-2"],
        restart: ["gateway-1", "gateway-2"],
        keep: ["demo-model", "worker-1", "control-1"],
      },
      stores: [
        { store: "postgres", mode: "embedded", action: "keep" },
        { store: "redis", mode: "local", action: "keep" },
        { store: "objects", mode: "directory", action: "keep" },
      ],
      tenants: { add: [tenants[1]], elsewhere: [{ id: "default", pool: "shared", asked: "vip" }] },
      settings: [
        { setting: "controlUi", from: null, to: "/ui" },
        { setting: "dedicated.vip", from: null, to: 1 },
        { setting: "workers", from: 2, to: 1 },
        { setting: "urls.nats", from: "(secret)", to: "(another)" },
      ],
    });
    expect([await journal(), await readFile(deploymentPaths(dataDir).state, "utf8")]).toEqual(seen);
    const s3 = { mode: "s3", endpoint: null, bucket: "b", region: "r" } as const;
    await expect(plan({ objects: s3 })).rejects.toMatchObject({ code: "CONFIG_INVALID" });

    await tell("journal");
    const after = pidsOf(await up(wanted, {}, tenants));
    const { "demo-model": model, "worker-1": worker, "control-1": control, postgres, redis } = before;
    expect(after).toMatchObject({
      "demo-model": model,
      "worker-1": worker,
      "control-1": control,
      postgres,
      redis,
    });
    const moves = (await journal()).filter((line) => /^(start|stop|add)/.test(line));
    expect(moves.toSorted()).toEqual([
      "add-tenants default@vip acme@vip",
      "start gateway-1",
      "start gateway-2",
      "start worker-vip-1",
      "stop gateway-1",
      "stop gateway-2",
      "stop worker-2",
    ]);
    expect((await view()).scaling?.pools.worker.current).toBe(1);
    expect(await plan(wanted)).toMatchObject({ changes: false });
  });

  it("has no room for a second supervisor", async () => {
    const { up, view, dataDir, folder } = await deployment();
    const before = await up();
    const second = spawn(
      process.execPath,
      [
        "--disable-warning=ExperimentalWarning",
        PROGRAM,
        "--name",
        "test",
        "--data-dir",
        dataDir,
        "serve",
        "supervisor",
      ],
      { env: { FIXTURE_DIR: folder }, stdio: "ignore" },
    );
    expect(await once(second, "exit")).toEqual([75, null]);
    expect((await view()).supervisor).toEqual(before.supervisor);
  });

  it("grows, shrinks and changes configuration while it runs, one instance of a pool at a time", async () => {
    const { up, journal } = await deployment();
    const before = pidsOf(await up());
    const grown = await up({ gateways: 2, workers: 3 });
    expect(grown.instances.map(({ id }) => id)).toEqual([
      "gateway-1",
      "gateway-2",
      "worker-1",
      "worker-2",
      "worker-3",
      "control-1",
    ]);
    expect(pidsOf(grown)).toMatchObject(before);
    const shrunk = await up({ gateways: 2, workers: 1 });
    expect(pidsOf(shrunk)).toEqual(before);

    const started = (await journal()).length;
    const changed = await up({ openclawConfig: "/nowhere/openclaw.json", configRevision: "2" });
    expect(changed.phase).toBe("ready");
    const moves = (await journal()).slice(started).filter((line) => /^(stop|start) gateway/.test(line));
    expect(moves).toEqual(["stop gateway-1", "start gateway-1", "stop gateway-2", "start gateway-2"]);
  });

  it("scales while it runs, and keeps the sizes over a restart and a plain up", async () => {
    const { up, down, scale, journal, dataDir } = await deployment();
    const before = pidsOf(await up());
    const grown = await scale({ worker: { size: 3, policy: { max: 5 } } });
    expect(grown.phase).toBe("ready");
    expect(grown.scaling).toMatchObject({
      auto: false,
      pools: { worker: { current: 3, desired: 3, max: 5 } },
    });
    expect(pidsOf(grown)).toMatchObject(before);
    expect((await journal()).filter((line) => line.startsWith("size worker"))).toEqual([
      "size worker 1",
      "size worker 3",
    ]);
    await down();
    await expect(scale({ worker: { size: 1 } })).rejects.toMatchObject({ code: "NOT_RUNNING" });
    const { desired } = (await readDeployment(dataDir))!;
    const again = await up({ ...desired! });
    expect(again.scaling?.pools.worker).toMatchObject({ current: 3, desired: 3, max: 5 });
  });

  it("refuses sizes outside of the limits where the load decides, and changes nothing then", async () => {
    const { up, scale, view } = await deployment();
    await up();
    const asking = (size: number) => scale({ worker: { size, policy: { auto: true, min: 1, max: 4 } } });
    await expect(asking(5)).rejects.toMatchObject({ code: "REQUEST_INVALID" });
    await expect(scale({ gateway: { policy: { min: 9 } } })).rejects.toMatchObject({
      code: "REQUEST_INVALID",
    });
    expect((await view()).scaling).toMatchObject({ auto: false, pools: { worker: { desired: 1 } } });
    expect(await asking(4)).toMatchObject({ phase: "ready", scaling: { auto: true } });
  });

  it("gives pools the sizes that were decided for them, once they are automatic, and remembers them", async () => {
    const { up, scale, view, tell, dataDir, journal } = await deployment();
    const before = pidsOf(await up());
    await tell("decided", "worker=3");
    const workers = async (): Promise<string> => {
      const { instances } = await view();
      return instances
        .flatMap(({ id, pool, state }) => (pool === "worker" ? `${id} ${state}` : []))
        .join(", ");
    };
    await until(async () => (await view()).scaling !== undefined);
    expect(await workers()).toBe("worker-1 ready");
    await scale({ worker: { policy: { auto: true, min: 1 } } });
    await until(async () => (await workers()) === "worker-1 ready, worker-2 ready, worker-3 ready");
    expect((await view()).phase).toBe("ready");
    expect((await readDeployment(dataDir))?.desired).toMatchObject({ workers: 3, gateways: 2 });
    await tell("decided", "worker=1");
    await until(async () => (await workers()) === "worker-1 ready");
    expect((await journal()).filter((line) => line.startsWith("stop")).sort()).toEqual([
      "stop worker-2",
      "stop worker-3",
    ]);
    expect(pidsOf(await view())).toEqual(before);
  });

  it("calls nothing wrong while an instance joins, also where it has to start more than once", async () => {
    const { up, scale, view, tell } = await deployment();
    await up();
    await scale({ worker: { policy: { auto: true, min: 1 } } });
    await tell("fail-worker-2", "1");
    await tell("decided", "worker=2");
    const joining = await until(async () => {
      const seen = await view();
      return seen.instances.some(({ id, state }) => id === "worker-2" && state === "crashed") && seen;
    });
    expect(joining.phase).toBe("ready");
    expect(joining.scaling?.pools.worker).toMatchObject({ current: 1, desired: 2 });
  });

  it("drains one instance, leaves it away when it would be restarted, and brings it back with scale", async () => {
    const { up, drain, scale, view, journal, tell } = await deployment();
    await up({ workers: 2 });
    const before = pidsOf(await scale({ worker: { policy: { auto: true, min: 1 } } }));
    const drained = await drain("worker-1");
    expect(drained.instances.find(({ id }) => id === "worker-1")).toMatchObject({
      state: "stopped",
      pid: null,
    });
    expect(drained.phase).toBe("ready");
    expect(alive(before)).not.toContain("worker-1");
    expect((await drain("worker-1")).phase).toBe("ready");
    process.kill(before["worker-2"]!, "SIGKILL");
    await until(async () => {
      const seen = pidsOf(await view());
      return seen["worker-2"] !== undefined && seen["worker-2"] !== before["worker-2"];
    });
    // Neither a restart nor a growth of its pool brings it back.
    await tell("decided", "worker=3");
    await until(async () => {
      const { instances } = await view();
      return instances.some(({ id, state }) => id === "worker-3" && state === "ready");
    });
    expect((await view()).instances.find(({ id }) => id === "worker-1")).toMatchObject({ state: "stopped" });
    expect((await journal()).filter((line) => line === "start worker-1")).toHaveLength(1);

    await expect(drain("worker-7")).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(drain("demo-model")).rejects.toMatchObject({ code: "NOT_FOUND" });
    const back = await scale({});
    expect(back.instances.map(({ id, state }) => `${id} ${state}`)).toContain("worker-1 ready");
  });

  it("drains also after its supervisor died: the next one watches the others first", async () => {
    const { up, drain, view } = await deployment();
    const before = await up();
    process.kill(before.supervisor.pid!, "SIGKILL");
    await until(() => machineProcesses.identify(before.supervisor.pid!) === null);
    const drained = await drain("gateway-2");
    expect(drained.instances.find(({ id }) => id === "gateway-2")).toMatchObject({ state: "stopped" });
    const { ["gateway-2"]: gone, ...others } = pidsOf(before);
    expect(gone).toBeDefined();
    expect(pidsOf(await view())).toEqual(others);
    expect((await view()).supervisor.pid).not.toBeNull();
  });

  it("undoes a first start that fails, says why, and starts well the next time", async () => {
    const { up, tell, untell, view, dataDir } = await deployment();
    await tell("fail-worker-1", "78");
    await expect(up()).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: "worker-1 ended at its start (exit code 78)",
      details: { problems: ["worker-1 was told to end with 78"] },
    });
    await until(async () => (await findSupervisor(dataDir)) === null);
    const failed = await view();
    expect(failed).toMatchObject({ phase: "stopped", failure: { code: "CONFIG_INVALID" } });
    expect(await leftovers(dataDir)).toEqual([]);
    await untell("fail-worker-1");
    expect(await up()).toMatchObject({ phase: "ready" });
    expect((await view()).failure).toBeUndefined();
  });

  it("undoes a change that fails and leaves running what ran", async () => {
    const { up, tell, view } = await deployment();
    const before = await up();
    await tell("fail-worker-2", "1");
    await expect(up({ workers: 2 })).rejects.toMatchObject({
      code: "STORE_UNAVAILABLE",
      message: "worker-2 ended 3 times in a row (exit code 1)",
    });
    const after = await until(async () => {
      const seen = await view();
      return seen.phase === "ready" && seen;
    });
    expect(pidsOf(after)).toEqual(pidsOf(before));
    expect(after.instances.map(({ id }) => id)).toEqual(before.instances.map(({ id }) => id));
    expect(after.failure).toMatchObject({ code: "STORE_UNAVAILABLE" });
  });

  it("refuses a database of a newer release", async () => {
    const { up, tell } = await deployment();
    await tell("newer-schema");
    await expect(up()).rejects.toMatchObject({ code: "SCHEMA_NEWER" });
  });

  it("refuses a public port that somebody else has, before anything is started", async () => {
    const { up, told } = await deployment();
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void other.close());
    const { port } = other.address() as AddressInfo;
    await expect(up({ port })).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: `port ${port} of 127.0.0.1 is taken by another program`,
      details: { hint: expect.stringContaining("--port 0") as string },
    });
    expect(told).not.toContain("starting PostgreSQL");
  });

  it("says which external store does not answer, without its password, before anything is started", async () => {
    const { up, told } = await deployment();
    const failing = up({ redis: { mode: "external" } }, { redisUrl: "redis://:hush@127.0.0.1:1" });
    await expect(failing).rejects.toMatchObject({
      code: "STORE_UNAVAILABLE",
      message: "Redis does not answer at 127.0.0.1:1",
    });
    expect(told).not.toContain("starting PostgreSQL");
  });

  it("refuses a change to a store that does not answer, and touches nothing that runs", async () => {
    const { up, journal, view } = await deployment();
    const before = await up();
    const moves = await journal();
    const failing = up({ redis: { mode: "external" } }, { redisUrl: "redis://127.0.0.1:1" });
    await expect(failing).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
    expect(pidsOf(await view())).toEqual(pidsOf(before));
    expect(await journal()).toEqual(moves);
    const after = await up();
    expect(after).toMatchObject({ phase: "ready", stores: { redis: { mode: "local", healthy: true } } });
  });

  it("starts again on the addresses that it had", async () => {
    const { up, down } = await deployment();
    const before = await up();
    await down();
    const after = await up();
    expect(after.gateway).toEqual(before.gateway);
    expect(after.instances.map(({ url }) => url)).toEqual(before.instances.map(({ url }) => url));
  });

  it("gives up a start that is under way when it is told to stop", async () => {
    const { up, supervisor, told, dataDir } = await deployment();
    const starting = up();
    await until(() => told.includes("starting PostgreSQL"));
    const refused = starting.catch((error: unknown) => error);
    await (await supervisor()).stop(() => {}, new AbortController().signal);
    expect(await refused).toMatchObject({ code: "DRAINING" });
    await until(async () => (await findSupervisor(dataDir)) === null);
    expect(await leftovers(dataDir)).toEqual([]);
  });

  it("goes on with a start whose supervisor was killed in the middle", async () => {
    const { up, dataDir, journal } = await deployment();
    const first = up();
    const cut = first.catch((error: unknown) => error);
    await until(async () => (await journal()).some((line) => line.startsWith("start")));
    const { supervisor } = (await readDeployment(dataDir))!;
    process.kill(supervisor!.pid, "SIGKILL");
    expect(await cut).toMatchObject({ code: "NOT_RUNNING" });
    const ready = await up();
    expect(ready.phase).toBe("ready");
    expect((await journal()).filter((line) => line.startsWith("start")).sort()).toEqual([
      "start control-1",
      "start demo-model",
      "start gateway-1",
      "start gateway-2",
      "start worker-1",
    ]);
  });

  it("kills an instance that does not end by itself", async () => {
    const { up, tell, down } = await deployment();
    const ready = await up();
    await tell("hang-demo-model");
    await down();
    expect(alive(pidsOf(ready))).toEqual([]);
  });

  it("keeps its files from others' eyes", async () => {
    const { up, dataDir } = await deployment();
    await up();
    const paths = deploymentPaths(dataDir);
    for (const file of [paths.state, paths.secrets]) expect((await stat(file)).mode & 0o077).toBe(0);
    expect((await readDeployment(dataDir))?.supervisor?.token).toMatch(/^[\w-]{43}$/);
  });
});
