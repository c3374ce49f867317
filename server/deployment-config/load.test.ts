import { describe, expect, it } from "vitest";
import { isHAError } from "../core/errors.ts";
import { choiceOfFile } from "./choice.ts";
import { loadDeploymentFile, parseDeploymentFile } from "./load.ts";

const FILE = "/srv/openclaw-ha.yaml";
const choiceOf = (text: string, env: Record<string, string> = {}) =>
  choiceOfFile(parseDeploymentFile(text, FILE, env), FILE);

function problemsOf(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    if (isHAError(error, "CONFIG_INVALID")) return error.details["problems"];
    throw error;
  }
  throw new Error("expected an error");
}
const problemsIn = (text: string): unknown => problemsOf(() => parseDeploymentFile(text, FILE, {}));

describe("openclaw-ha.yaml", () => {
  it("says topology, pools, stores and tenants, with paths relative to itself and passwords from the environment", () => {
    const text = `
topology: v2
port: 0
openclaw: { config: ./openclaw.json }
pools:
  gateway: 3
  worker: { instances: 4, slots: 16 }
  dedicated: { vip: 2, eu: {} }
stores:
  postgres: { url: "postgres://app:\${DB_PASSWORD}@db/ha" }
  redis: local
  objects: { bucket: sessions, endpoint: "https://s3.example" }
limits: { concurrentRuns: 8, sessions: null }
tenants:
  - acme
  - { id: globex, pool: vip, limits: { concurrentRuns: 32 } }
`;
    expect(choiceOf(text, { DB_PASSWORD: "fake" })).toEqual({
      topology: "v2",
      port: 0,
      openclawConfig: "/srv/openclaw.json",
      gateways: 3,
      workers: 4,
      slots: 16,
      dedicated: { vip: 2, eu: 1 },
      postgresUrl: "postgres://app:fake@db/ha",
      redisUrl: null,
      s3: { bucket: "sessions", endpoint: "https://s3.example" },
      limits: { concurrentRuns: 8, sessions: null },
      tenants: [
        { id: "acme", pool: "shared" },
        { id: "globex", pool: "vip", limits: { concurrentRuns: 32 } },
      ],
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
    expect(choiceOf(text)).toEqual({
      workers: 2,
      scaling: { gateway: { ...common, min: 1 }, worker: { ...common, min: 2, max: 12 } },
    });
  });

  it.each(["", "# nothing yet\n", "pools:\nstores:\n  # redis: local\ntenants:\n"])(
    "says nothing where everything is left out: %j",
    (text) => expect(choiceOf(text)).toEqual({}),
  );

  it("reports all errors at once, in the order of the lines, each with line, column and key", () => {
    const text = `topology: v3
pools:
  gateway: -1
  workers: 2
  worker: { instances: many, slot: 3 }
stores:
  redis: { url: "\${REDIS}" }
  postgres: embeded
  nats: { url: "http://:hush@nats" }
scaling: { auto: sometimes }
limits: { concurrentRuns: 0.5 }
tenants: [Acme, { pool: shared }]
`;
    expect(problemsIn(text)).toEqual([
      `${FILE}:1:1: topology: must be one of v0, v1, v2`,
      `${FILE}:3:3: pools.gateway: too small: expected number to be >=0`,
      `${FILE}:4:3: pools.workers: unknown key; did you mean worker?`,
      `${FILE}:5:13: pools.worker.instances: must be a number`,
      `${FILE}:5:30: pools.worker.slot: unknown key; did you mean slots?`,
      `${FILE}:7:12: stores.redis.url: environment variable REDIS is not set`,
      `${FILE}:8:3: stores.postgres: must be embedded or a group of keys`,
      `${FILE}:9:11: stores.nats.url: must be a URL that starts with nats:// or tls:// or ws:// or wss://`,
      `${FILE}:10:12: scaling.auto: must be true or false`,
      `${FILE}:11:11: limits.concurrentRuns: must be a whole number`,
      `${FILE}:12:11: tenants.0: not a usable tenant's id: lower-case letters, digits, dashes and underscores, at most 63`,
      `${FILE}:12:17: tenants.1.id: is missing: text`,
    ]);
  });

  it("finds a key that belongs into another group", () => {
    expect(problemsIn("maxx: 3\nbucket: b\nzzzzzzzzzz: 1\n")).toEqual([
      `${FILE}:1:1: maxx: unknown key; did you mean pools.gateway.max?`,
      `${FILE}:2:1: bucket: unknown key; did you mean stores.objects.bucket?`,
      `${FILE}:3:1: zzzzzzzzzz: unknown key`,
    ]);
  });

  it("finds what contradicts itself, also beside other errors", () => {
    const text = `port: high
pools:
  worker: { min: 5, max: 2 }
  dedicated: { vip: 1, shared: 1 }
tenants:
  - acme
  - { id: globex, pool: vipp }
  - { id: initech, pool: gold }
  - { id: acme }
`;
    expect(problemsIn(text)).toEqual([
      `${FILE}:1:1: port: must be a number`,
      `${FILE}:3:13: pools.worker.min: 5 is above max, which is 2`,
      `${FILE}:4:24: pools.dedicated.shared: is the pool of all tenants that name none; its size is pools.worker`,
      `${FILE}:7:19: tenants.1.pool: there is no pool vipp in pools.dedicated; did you mean vip?`,
      `${FILE}:8:20: tenants.2.pool: there is no pool gold in pools.dedicated; it may be one of shared, vip`,
      `${FILE}:9:7: tenants.3.id: acme is listed already, as tenants.0`,
    ]);
  });

  it.each([
    ["a list left open", "pools:\n  gateway: [1\n", 3, 1],
    ["a key given twice", "port: 1\nport: 2\n", 2, 1],
    ["a second document", "port: 1\n---\nport: 2\n", 2, 1],
  ])("reports text that is not YAML with its place: %s", (_, text, line, column) => {
    expect(problemsIn(text)).toContainEqual(expect.stringMatching(`^${FILE}:${line}:${column}: `));
  });

  it.each(["- a list\n", "just text\n", "42\n"])("says that it must be a group of keys: %j", (text) => {
    expect(problemsIn(text)).toEqual([`${FILE}:1:1: must be a group of keys`]);
  });

  it("refuses aliases that would grow without bound", () => {
    const list = (name: string, of: string): string =>
      `${name}: &${name} [${Array(12).fill(of).join(",")}]\n`;
    const bomb = list("a", "x") + list("b", "*a") + list("c", "*b") + list("d", "*c");
    expect(problemsIn(bomb)).toEqual([expect.stringContaining("alias")]);
  });

  it("says that a file is missing", () => {
    expect(problemsOf(() => loadDeploymentFile("/nowhere/openclaw-ha.yaml", {}))).toEqual([
      expect.stringContaining("no such file"),
    ]);
  });
});
