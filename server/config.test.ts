import { describe, expect, it } from "vitest";
import { isHAError } from "./core/errors.ts";
import { readInstanceConfig, readListenConfig } from "./config.ts";

const STORES = {
  OPENCLAW_HA_POSTGRES_URL: "postgres://app:fake@127.0.0.1:5432/openclaw_ha",
  OPENCLAW_HA_REDIS_URL: "redis://:fake@127.0.0.1:6379",
  OPENCLAW_HA_OBJECTS_DIR: "/srv/objects",
};

function problemsOf(act: () => unknown): string[] {
  try {
    act();
  } catch (error) {
    if (isHAError(error, "CONFIG_INVALID")) return error.details["problems"] as string[];
    throw error;
  }
  throw new Error("expected an error");
}

describe("instance configuration", () => {
  it("needs stores and has a default for everything else", () => {
    expect(readInstanceConfig("worker", STORES)).toEqual({
      instance: "worker-1",
      host: "127.0.0.1",
      port: 0,
      logLevel: "info",
      postgresUrl: STORES.OPENCLAW_HA_POSTGRES_URL,
      redisUrl: STORES.OPENCLAW_HA_REDIS_URL,
      natsUrl: null,
      objects: { kind: "directory", directory: "/srv/objects" },
      openclawConfigPath: null,
      demoModelUrl: null,
      sharedPort: null,
      controlUi: null,
      slots: 64,
      pools: ["shared"],
      drainGraceMs: 10_000,
    });
  });

  it("takes an empty variable for an unset one", () => {
    const config = readInstanceConfig("gateway", {
      ...STORES,
      OPENCLAW_HA_PORT: "",
      OPENCLAW_HA_NATS_URL: " ",
    });
    expect(config).toMatchObject({ port: 0, natsUrl: null });
  });

  it("reads S3 with its keys from AWS's own variables", () => {
    const { OPENCLAW_HA_OBJECTS_DIR: _, ...stores } = STORES;
    const s3 = { OPENCLAW_HA_S3_BUCKET: "b", OPENCLAW_HA_S3_ENDPOINT: "http://127.0.0.1:7070" };
    const keys = { AWS_ACCESS_KEY_ID: "id", AWS_SECRET_ACCESS_KEY: "fake" };
    expect(readInstanceConfig("worker", { ...stores, ...s3, ...keys }).objects).toEqual({
      kind: "s3",
      bucket: "b",
      endpoint: "http://127.0.0.1:7070",
      region: "us-east-1",
      credentials: { accessKeyId: "id", secretAccessKey: "fake" },
    });
    expect(readInstanceConfig("worker", { ...stores, OPENCLAW_HA_S3_BUCKET: "b" }).objects).toMatchObject({
      endpoint: null,
      credentials: null,
    });
  });

  it("reports all problems at once and never repeats a URL, which may hold a password", () => {
    const problems = problemsOf(() =>
      readInstanceConfig("gateway", {
        OPENCLAW_HA_POSTGRES_URL: "mysql://root:hush@db",
        OPENCLAW_HA_PORT: "70000",
        OPENCLAW_HA_SLOTS: "many",
        OPENCLAW_HA_POOLS: "shared, VIP!",
        OPENCLAW_HA_LOG_LEVEL: "loud",
        AWS_ACCESS_KEY_ID: "id",
        OPENCLAW_HA_S3_BUCKET: "b",
      }),
    );
    expect(problems).toEqual([
      "OPENCLAW_HA_POSTGRES_URL must be a URL that starts with postgres:// or postgresql://",
      'OPENCLAW_HA_PORT must be a whole number from 0 to 65535, not "70000"',
      'OPENCLAW_HA_LOG_LEVEL must be one of debug, info, warn, error, silent, not "loud"',
      "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must be set together",
      'OPENCLAW_HA_SLOTS must be a whole number from 1 to 4096, not "many"',
      'OPENCLAW_HA_POOLS: "VIP!" is not a pool name',
    ]);
    expect(problems.join()).not.toContain("hush");
  });

  it("says which stores are missing", () => {
    expect(problemsOf(() => readInstanceConfig("control", {}))).toEqual([
      expect.stringMatching(/^OPENCLAW_HA_POSTGRES_URL is not set/),
      expect.stringMatching(/^OPENCLAW_HA_OBJECTS_DIR is not set/),
    ]);
  });

  it("asks the demo model for an address only", () => {
    expect(readListenConfig("demo-model", { OPENCLAW_HA_PORT: "4010" })).toEqual({
      instance: "demo-model",
      host: "127.0.0.1",
      port: 4010,
      logLevel: "info",
    });
  });
});
