import type { HAError } from "../server/core/errors.ts";
import { describe, expect, it } from "vitest";
import {
  choiceOfEnvironment,
  choiceOfFlags,
  DEFAULT_TOPOLOGY,
  refuseOtherTopology,
  requireTopology,
  resolveTopology,
} from "./desired-topology.ts";

const CWD = "/work";

describe("what a deployment should become", () => {
  it("is the default when nothing is said", () => {
    expect(resolveTopology([{}, {}], null)).toEqual({
      desired: DEFAULT_TOPOLOGY,
      urls: {},
      tenants: [],
    });
  });

  it("takes flags over environment over file over what it was", () => {
    const flags = choiceOfFlags(undefined, { gateways: 5 }, CWD);
    const env = choiceOfEnvironment({ OPENCLAW_HA_GATEWAYS: "4", OPENCLAW_HA_WORKERS: "4" }, CWD);
    const file = { gateways: 3, workers: 3, slots: 3 };
    const kept = { ...DEFAULT_TOPOLOGY, gateways: 1, workers: 1, slots: 1, port: 1 };
    expect(resolveTopology([flags, env, file], kept).desired).toMatchObject({
      gateways: 5,
      workers: 4,
      slots: 3,
      port: 1,
    });
  });

  it("keeps how the pools are sized, but for what the file says of it", () => {
    const worker = { ...DEFAULT_TOPOLOGY.scaling.worker, auto: true, max: 30 };
    const kept = { ...DEFAULT_TOPOLOGY, workers: 17, scaling: { ...DEFAULT_TOPOLOGY.scaling, worker } };
    expect(resolveTopology([{}], kept).desired).toEqual(kept);
    const file = { scaling: { gateway: {}, worker: { max: 20 } } };
    expect(resolveTopology([file], kept).desired.scaling).toEqual({
      gateway: DEFAULT_TOPOLOGY.scaling.gateway,
      worker: { ...worker, max: 20 },
    });
    const wrong = { scaling: { gateway: {}, worker: { max: 1 } } };
    expect(() => resolveTopology([wrong], kept)).toThrow(
      "worker: the minimum of 2 is above the maximum of 1",
    );
  });

  it("keeps the stores that it had when a plain up starts it again", () => {
    const kept = { ...DEFAULT_TOPOLOGY, postgres: { mode: "external" }, openclawConfig: "/c.json" } as const;
    expect(resolveTopology([{}], kept).desired).toEqual(kept);
  });

  it("reads external stores from URLs, and keeps these apart from the rest", () => {
    const { desired, urls } = resolveTopology([{ postgresUrl: "postgres://u:p@db/x" }], null);
    expect(desired.postgres).toEqual({ mode: "external" });
    expect(urls).toEqual({ postgresUrl: "postgres://u:p@db/x" });
    expect(JSON.stringify(desired)).not.toContain("u:p");
  });

  it("refuses a URL of another kind without repeating it", () => {
    const wrong = (): unknown => resolveTopology([{ redisUrl: "http://:hush@host" }], null);
    expect(wrong).toThrow("the URL of Redis must start with redis:// or rediss://");
    expect(wrong).not.toThrow("hush");
  });

  it("needs a bucket for S3, and fills in region and endpoint", () => {
    expect(() => resolveTopology([{ s3: { endpoint: "http://s3" } }], null)).toThrow("S3 needs a bucket");
    expect(resolveTopology([{ s3: { bucket: "b" } }], null).desired.objects).toEqual({
      mode: "s3",
      bucket: "b",
      endpoint: null,
      region: "us-east-1",
    });
  });

  it("takes bucket, endpoint and region of S3 from wherever each is said", () => {
    const file = { s3: { bucket: "b", region: "eu-1" } };
    expect(resolveTopology([{ s3: { endpoint: "http://s3" } }, file], null).desired.objects).toEqual({
      mode: "s3",
      bucket: "b",
      endpoint: "http://s3",
      region: "eu-1",
    });
  });

  it("goes back to the default where null is said", () => {
    const kept = {
      ...DEFAULT_TOPOLOGY,
      redis: { mode: "external" },
      objects: { mode: "s3", bucket: "b", endpoint: null, region: "r" },
      openclawConfig: "/c.json",
      dedicated: { vip: 2 },
    } as const;
    const file = { redisUrl: null, s3: null, openclawConfig: null, dedicated: {} };
    expect(resolveTopology([{}, file], kept).desired).toEqual(DEFAULT_TOPOLOGY);
    const env = { redisUrl: "redis://there" };
    expect(resolveTopology([env, file], kept)).toMatchObject({
      desired: { redis: { mode: "external" } },
      urls: { redisUrl: "redis://there" },
    });
  });

  it("makes paths absolute", () => {
    expect(choiceOfFlags(undefined, { openclawConfig: "conf/openclaw.json" }, CWD)).toEqual({
      openclawConfig: "/work/conf/openclaw.json",
    });
  });

  it("reports every wrong variable at once", () => {
    expect(() => choiceOfEnvironment({ OPENCLAW_HA_PORT: "-1", OPENCLAW_HA_WORKERS: "many" }, CWD)).toThrow(
      expect.objectContaining({
        code: "CONFIG_INVALID",
        details: {
          problems: [
            'OPENCLAW_HA_PORT must be a whole number up to 65535, not "-1"',
            'OPENCLAW_HA_WORKERS must be a whole number up to 256, not "many"',
          ],
        },
      }),
    );
  });

  it.each([
    ["v1", "topology v1 is not part of this release yet; v2 is"],
    ["v9", 'there is no topology "v9"'],
  ])("refuses topology %s honestly", (topology, message) => {
    expect(() => requireTopology(topology)).toThrow(
      expect.objectContaining({ code: "REQUEST_INVALID", message }),
    );
  });

  it("refuses to become another topology, and names the commands that move the state", () => {
    const hint = (kept: string, asked: string): unknown => {
      try {
        refuseOtherTopology({ ...DEFAULT_TOPOLOGY, topology: kept as "v2" }, asked, "openclaw-ha --name a");
      } catch (error) {
        return [(error as HAError).code, (error as HAError).message, (error as HAError).details["hint"]];
      }
      return null;
    };
    expect(hint("v2", "v2")).toBeNull();
    expect(hint("v2", "v0")).toEqual([
      "REQUEST_INVALID",
      "this deployment is v2 and does not become v0 in place",
      expect.stringMatching(
        /`openclaw-ha --name a migrate export --to DIR .*`openclaw-ha --name a --name NEW up v0/,
      ),
    ]);
    expect(hint("v0", "v2")).toEqual([
      "REQUEST_INVALID",
      "this deployment is v0 and does not become v2 in place",
      expect.stringContaining("migrate run OPENCLAW_HOME`"),
    ]);
  });

  it("refuses flags of the other topologies", () => {
    expect(() => choiceOfFlags("v2", { users: "a,b" }, CWD)).toThrow(/--users belongs to v1/);
    const home = choiceOfFlags("v2", { openclawHome: "x" }, CWD);
    expect(() => resolveTopology([home], null)).toThrow(/--openclaw-home\) belongs to v0 and v1/);
  });
});
