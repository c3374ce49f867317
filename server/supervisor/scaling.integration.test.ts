import { describe, expect, it } from "vitest";
import { until } from "../testing/until.ts";
import { readDeployment } from "./deployment.ts";
import { alive, deployment, pidsOf } from "./fixtures/deployment.ts";
import { machineProcesses } from "./machine.ts";

describe("the sizes of a deployment on this machine", () => {
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
});
