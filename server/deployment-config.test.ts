import { describe, expect, it } from "vitest";
import { isHAError } from "./core/errors.ts";
import { loadDeploymentFile, parseDeploymentFile } from "./deployment-config.ts";

const FILE = "/srv/openclaw-ha.yaml";

function problemsOf(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    if (isHAError(error, "CONFIG_INVALID")) return error.details["problems"];
    throw error;
  }
  throw new Error("expected an error");
}

describe("openclaw-ha.yaml", () => {
  it("says topology, pools, stores and limits, with paths relative to itself and passwords from the environment", () => {
    const text = `
topology: v2
port: 0
openclaw: { config: ./openclaw.json }
pools:
  gateway: 3
  worker: { instances: 4 }
stores:
  postgres: { url: "postgres://app:\${DB_PASSWORD}@db/ha" }
  s3: { bucket: sessions, endpoint: "https://s3.example" }
limits: { sessionsPerWorker: 16 }
`;
    expect(parseDeploymentFile(text, FILE, { DB_PASSWORD: "fake" })).toEqual({
      topology: "v2",
      port: 0,
      openclawConfig: "/srv/openclaw.json",
      gateways: 3,
      workers: 4,
      postgresUrl: "postgres://app:fake@db/ha",
      s3: { bucket: "sessions", endpoint: "https://s3.example" },
      slots: 16,
    });
  });

  it("says how pools are sized: limits beside the sizes, times in seconds", () => {
    const text = `
pools:
  gateway: { min: 1 }
  worker: { instances: 2, min: 2, max: 12 }
scaling: { auto: true, shrinkAfterSeconds: 120, queueDelaySeconds: 0.5 }
`;
    const common = { auto: true, shrinkAfterMs: 120_000, queueDelayMs: 500 };
    expect(parseDeploymentFile(text, FILE, {})).toEqual({
      workers: 2,
      scaling: { gateway: { ...common, min: 1 }, worker: { ...common, min: 2, max: 12 } },
    });
    expect(problemsOf(() => parseDeploymentFile("scaling: { auto: sometimes }", FILE, {}))).toEqual([
      expect.stringContaining("scaling.auto: "),
    ]);
  });

  it("says nothing when it is empty", () => {
    expect(parseDeploymentFile("# nothing yet\n", FILE, {})).toEqual({});
  });

  it("reports all errors at once, each with line, column and key", () => {
    const text = 'topology: v3\npools:\n  gateway: -1\n  workers: 2\nstores:\n  redis: { url: "${REDIS}" }\n';
    expect(problemsOf(() => parseDeploymentFile(text, FILE, {}))).toEqual([
      `${FILE}:6:12: stores.redis.url: environment variable REDIS is not set`,
      expect.stringMatching(/^\/srv\/openclaw-ha\.yaml:1:1: topology: /),
      expect.stringMatching(/^\/srv\/openclaw-ha\.yaml:3:3: pools\.gateway: /),
      `${FILE}:4:3: pools.workers: unknown key`,
    ]);
  });

  it("reports text that is not YAML with its place", () => {
    expect(problemsOf(() => parseDeploymentFile("pools:\n  gateway: [1\n", FILE, {}))).toEqual([
      expect.stringMatching(/^\/srv\/openclaw-ha\.yaml:3:1: /),
    ]);
  });

  it("says that a file is missing", () => {
    expect(problemsOf(() => loadDeploymentFile("/nowhere/openclaw-ha.yaml", {}))).toEqual([
      expect.stringContaining("no such file"),
    ]);
  });
});
