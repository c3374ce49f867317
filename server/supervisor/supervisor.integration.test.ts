import { describe, expect, it } from "vitest";
import { until } from "../testing/until.ts";
import { viewFromFiles } from "./files-view.ts";
import { alive, deployment, pidsOf } from "./fixtures/deployment.ts";
import { machineProcesses } from "./machine.ts";

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
    const asked = await viewFromFiles(dataDir, "test", async () => ({
      observation: { at: "now", tenants, queue },
      activity: null,
    }));
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

  it("starts again on the addresses that it had", async () => {
    const { up, down } = await deployment();
    const before = await up();
    await down();
    const after = await up();
    expect(after.gateway).toEqual(before.gateway);
    expect(after.instances.map(({ url }) => url)).toEqual(before.instances.map(({ url }) => url));
  });

  it("kills an instance that does not end by itself", async () => {
    const { up, tell, down } = await deployment();
    const ready = await up();
    await tell("hang-demo-model");
    await down();
    expect(alive(pidsOf(ready))).toEqual([]);
  });
});
