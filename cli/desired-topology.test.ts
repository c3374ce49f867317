import { describe, expect, it } from "vitest";
import {
  choiceOfEnvironment,
  choiceOfFlags,
  DEFAULT_TOPOLOGY,
  requireTopology,
  resolveTopology,
} from "./desired-topology.ts";

const CWD = "/work";

describe("what a deployment should become", () => {
  it("is the default when nothing is said", () => {
    expect(resolveTopology([{}, {}], null)).toEqual({ desired: DEFAULT_TOPOLOGY, urls: {} });
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

  it("refuses flags of the other topologies", () => {
    expect(() => choiceOfFlags("v2", { users: "a,b" }, CWD)).toThrow(/--users belongs to v1/);
    expect(() => choiceOfFlags("v2", { openclawHome: "x" }, CWD)).toThrow(
      /--openclaw-home belongs to v0 and v1/,
    );
  });
});
