import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { until } from "../testing/until.ts";
import { findSupervisor } from "./client.ts";
import { readDeployment } from "./deployment.ts";
import { deployment, leftovers, pidsOf } from "./fixtures/deployment.ts";

describe("the start of a deployment on this machine", () => {
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
});
