import { describe, expect, it } from "vitest";
import { revisionOf } from "../adapters/process/kept-instance.ts";
import type { DeploymentAddresses } from "./addresses.ts";
import type { DesiredTopology } from "./deployment.ts";
import { DESIRED } from "./fixtures/desired.ts";
import type { InstancePlan } from "./instances.ts";
import { instanceNames, instanceSpecs, poolOf, sizedPoolOf } from "./instances.ts";

const desired: DesiredTopology = { ...DESIRED, port: 18_789 };
const addresses: DeploymentAddresses = {
  gatewayUrl: "ws://127.0.0.1:18789",
  controlUiUrl: null,
  httpUrl: "http://127.0.0.1:18789",
  gatewayToken: "hush-token",
  postgresAdminUrl: "postgres://admin:hush-admin@127.0.0.1:1/db",
  postgresUrl: "postgres://app:hush-app@127.0.0.1:1/db",
  redisUrl: "redis://:hush-redis@127.0.0.1:2",
  natsUrl: null,
  objects: { mode: "directory", directory: "/data/objects" },
  demoModelUrl: "http://127.0.0.1:3/v1",
};
const ports = {
  public: 18_789,
  "gateway-1": 4,
  "gateway-2": 5,
  "worker-1": 6,
  "control-1": 7,
  "demo-model": 3,
};
const plan: InstancePlan = { desired, addresses, ports, environment: { OPENAI_API_KEY: "hush-key" } };
const specOf = (id: string, of: InstancePlan = plan) => instanceSpecs(of).find((spec) => spec.id === id)!;

describe("the instances of a topology", () => {
  it("are numbered within their pool, so that a pool grows and shrinks at its end", () => {
    const ids = (workers: number): string[] => instanceNames({ ...desired, workers }).map(({ id }) => id);
    expect(ids(1)).toEqual(["demo-model", "gateway-1", "gateway-2", "worker-1", "control-1"]);
    expect(ids(3).filter((id) => !ids(1).includes(id))).toEqual(["worker-2", "worker-3"]);
    for (const { id, pool } of instanceNames(desired)) expect(poolOf(id)).toBe(pool);
  });

  it("are workers of dedicated pools beside those of the shared one, whose numbers they do not change", () => {
    const dedicated = { ...desired, dedicated: { vip: 2, "eu-1": 1 } };
    const workers = instanceNames(dedicated).filter(({ pool }) => pool === "worker");
    expect(workers.map(({ id }) => id)).toEqual([
      "worker-1",
      "worker-vip-1",
      "worker-vip-2",
      "worker-eu-1-1",
    ]);
    expect(workers.map(({ id }) => poolOf(id))).toEqual(workers.map(() => "worker"));
    expect(workers.map(({ id }) => sizedPoolOf(id))).toEqual(["worker", null, null, null]);
    const served = instanceSpecs({ ...plan, desired: dedicated }).map(({ id, env }) => [
      id,
      env["OPENCLAW_HA_POOLS"],
    ]);
    expect(Object.fromEntries(served)).toMatchObject({
      "worker-1": undefined,
      "worker-vip-2": "vip",
      "worker-eu-1-1": "eu-1",
      "gateway-1": undefined,
    });
    const before = instanceSpecs(plan);
    for (const spec of before)
      expect(revisionOf(specOf(spec.id, { ...plan, desired: dedicated }))).toBe(revisionOf(spec));
  });

  it("get their secrets by environment, never as arguments", () => {
    for (const { args, url, readyUrl } of instanceSpecs(plan)) {
      expect(JSON.stringify([args, url, readyUrl])).not.toContain("hush");
    }
    expect(specOf("worker-1").env).toMatchObject({
      OPENCLAW_HA_INSTANCE: "worker-1",
      OPENCLAW_HA_POSTGRES_URL: addresses.postgresUrl,
      OPENCLAW_HA_REDIS_URL: addresses.redisUrl,
      OPENCLAW_HA_OBJECTS_DIR: "/data/objects",
      OPENAI_API_KEY: "hush-key",
    });
  });

  it("never get the owner's access to the database, and the demo model no access at all", () => {
    for (const { env } of instanceSpecs(plan))
      expect(Object.values(env)).not.toContain(addresses.postgresAdminUrl);
    expect(JSON.stringify(specOf("demo-model"))).not.toContain("hush");
  });

  it("have an address of their own; gateways share the public one as well", () => {
    expect(specOf("gateway-2")).toMatchObject({
      url: "ws://127.0.0.1:5",
      readyUrl: "http://127.0.0.1:5/readyz",
      env: { OPENCLAW_HA_PORT: "5", OPENCLAW_HA_SHARED_PORT: "18789" },
    });
    expect(specOf("worker-1").env).not.toHaveProperty("OPENCLAW_HA_SHARED_PORT");
  });

  it("must start again when the text of openclaw.json changed, and not when only a pool grew", () => {
    const configured = { ...desired, openclawConfig: "/home/openclaw.json", configRevision: "a" };
    const revision = (of: DesiredTopology): string =>
      revisionOf(specOf("gateway-1", { ...plan, desired: of }));
    expect(revision({ ...configured, configRevision: "b" })).not.toBe(revision(configured));
    expect(revision({ ...configured, workers: 9, gateways: 5 })).toBe(revision(configured));
  });
});
