import { spawn } from "node:child_process";
import { once } from "node:events";
import { stat } from "node:fs/promises";
import { beforeAll, describe, expect, it } from "vitest";
import { deploymentPaths, readDeployment } from "./deployment.ts";
import { pidsOf, PROGRAM, sharedDeployment } from "./fixtures/deployment.ts";

let shared: Awaited<ReturnType<typeof sharedDeployment>>;
beforeAll(async () => {
  shared = await sharedDeployment();
  await shared.up();
  return () => shared.close();
});

describe("a deployment that runs", () => {
  it("has no room for a second supervisor", async () => {
    const { up, view, dataDir, folder } = shared;
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

  it("refuses a change to a store that does not answer, and touches nothing that runs", async () => {
    const { up, journal, view } = shared;
    const before = await up();
    const moves = await journal();
    const failing = up({ redis: { mode: "external" } }, { redisUrl: "redis://127.0.0.1:1" });
    await expect(failing).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
    expect(pidsOf(await view())).toEqual(pidsOf(before));
    expect(await journal()).toEqual(moves);
    const after = await up();
    expect(after).toMatchObject({ phase: "ready", stores: { redis: { mode: "local", healthy: true } } });
  });

  it("keeps its files from others' eyes", async () => {
    const { up, dataDir } = shared;
    await up();
    const paths = deploymentPaths(dataDir);
    for (const file of [paths.state, paths.secrets]) expect((await stat(file)).mode & 0o077).toBe(0);
    expect((await readDeployment(dataDir))?.supervisor?.token).toMatch(/^[\w-]{43}$/);
  });

  it("refuses sizes outside of the limits where the load decides, and changes nothing then", async () => {
    const { up, scale, view } = shared;
    await up();
    const asking = (size: number) => scale({ worker: { size, policy: { auto: true, min: 1, max: 4 } } });
    await expect(asking(5)).rejects.toMatchObject({ code: "REQUEST_INVALID" });
    await expect(scale({ gateway: { policy: { min: 9 } } })).rejects.toMatchObject({
      code: "REQUEST_INVALID",
    });
    expect((await view()).scaling).toMatchObject({ auto: false, pools: { worker: { desired: 1 } } });
    expect(await asking(4)).toMatchObject({ phase: "ready", scaling: { auto: true } });
  });
});
