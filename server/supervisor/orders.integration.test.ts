import { readdir, readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { until } from "../testing/until.ts";
import type { ApplyRequest } from "./contract.ts";
import type { DesiredTopology } from "./deployment.ts";
import { deploymentPaths } from "./deployment.ts";
import { deployment, pidsOf } from "./fixtures/deployment.ts";
import { DESIRED } from "./fixtures/desired.ts";
import { planChange } from "./plan.ts";

describe("orders to a deployment on this machine", () => {
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
    const after = pidsOf(await up(wanted, {}, { tenants }));
    const { "demo-model": model, "worker-1": worker, "control-1": control, postgres, redis } = before;
    expect(after).toMatchObject({
      "demo-model": model,
      "worker-1": worker,
      "control-1": control,
      postgres,
      redis,
    });
    const moves = (await journal()).filter((line) => /^(start|stop|tenants)/.test(line));
    expect(moves.toSorted()).toEqual([
      "start gateway-1",
      "start gateway-2",
      "start worker-vip-1",
      "stop gateway-1",
      "stop gateway-2",
      "stop worker-2",
      "tenants default@vip acme@vip",
    ]);
    expect((await view()).scaling?.pools.worker.current).toBe(1);
    expect(await plan(wanted)).toMatchObject({ changes: false });
  });
});
