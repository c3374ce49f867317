import { describe, expect, it } from "vitest";
import { HAError } from "../core/errors.ts";
import type { DeploymentView } from "../supervisor/view.ts";
import type { PostgresFacts, StoreFacts } from "./facts.ts";
import { judgeDeployment } from "./judge-deployment.ts";
import {
  diagnoseDataDir,
  judgeDisk,
  judgeNode,
  judgeOpenFiles,
  judgePrograms,
  openFilesLimit,
} from "./judge-machine.ts";
import {
  compareVersions,
  diagnoseStores,
  judgeConnections,
  judgePostgres,
  judgeRedis,
} from "./judge-stores.ts";

const HEALTHY: PostgresFacts = {
  version: "18.1",
  versionNumber: 180_001,
  clockSkewMs: 3,
  roundTripMs: 0.4,
  schemaRevision: 7,
  releaseRevision: 7,
  sessionLocks: true,
  inRecovery: false,
  maxConnections: 197,
  synchronousCommit: "on",
};

/** Severity and text of what is not in order. */
const complaints = (findings: readonly { severity: string; what: string; action: string }[]): string[] =>
  findings.filter(({ severity }) => severity !== "ok").map(({ severity, what }) => `${severity}: ${what}`);

describe("judgePostgres", () => {
  it("has nothing to say about a healthy database", () => {
    expect(complaints(judgePostgres(HEALTHY))).toEqual([]);
  });

  it.each<[string, Partial<PostgresFacts>, string]>([
    ["an old release", { version: "13.9", versionNumber: 130_009 }, "error: PostgreSQL 13.9 is too old"],
    ["a standby", { inRecovery: true }, "error: PostgreSQL is a standby"],
    ["a newer schema", { schemaRevision: 8 }, "error: the schema is at revision 8, this release knows 7"],
    ["an older schema", { schemaRevision: 6 }, "error: the schema is at revision 6, this release needs 7"],
    [
      "a clock ahead",
      { clockSkewMs: 4_200 },
      "warning: the database's clock is 4.2 s ahead of this machine's",
    ],
    [
      "a clock behind",
      { clockSkewMs: -4_200 },
      "warning: the database's clock is 4.2 s behind this machine's",
    ],
    [
      "a transaction pooler",
      { sessionLocks: false },
      "warning: the database is behind a transaction pooler: there are no session advisory locks",
    ],
    ["a far database", { roundTripMs: 45 }, "warning: a round trip to PostgreSQL takes 45 ms"],
    [
      "commits that do not wait",
      { synchronousCommit: "off" },
      "error: PostgreSQL does not wait for its disk (synchronous_commit off)",
    ],
  ])("names %s, and what to do", (_, facts, complaint) => {
    const findings = judgePostgres({ ...HEALTHY, ...facts });
    expect(complaints(findings)).toEqual([complaint]);
    expect(findings.find(({ severity }) => severity !== "ok")).toMatchObject({
      why: expect.stringMatching(/./),
      action: expect.stringMatching(/./),
    });
  });
});

describe("judgeConnections", () => {
  it("counts what the pools may open", () => {
    expect(judgeConnections(HEALTHY, 5).severity).toBe("ok");
    expect(judgeConnections(HEALTHY, 40)).toMatchObject({
      severity: "warning",
      what: "PostgreSQL takes 197 connections, 40 processes open up to 410",
    });
  });
});

describe("judgeRedis", () => {
  it("wants streams and a memory that forgets nothing", () => {
    const facts = {
      version: "7.0.15",
      evictionPolicy: "noeviction",
      roundTripMs: 0.2,
      usedMemoryBytes: 100,
      maxMemoryBytes: 0,
      persistence: { kinds: ["RDB"], failed: false },
    };
    expect(complaints(judgeRedis(facts))).toEqual([]);
    expect(complaints(judgeRedis(null))).toEqual([]);
    expect(complaints(judgeRedis({ ...facts, version: "6.0.16" }))).toEqual([
      "error: Redis 6.0.16 is too old",
    ]);
    expect(complaints(judgeRedis({ ...facts, evictionPolicy: "allkeys-lru" }))).toEqual([
      "warning: Redis evicts keys when it is full (maxmemory-policy allkeys-lru)",
    ]);
    expect(complaints(judgeRedis({ ...facts, maxMemoryBytes: 105 }))).toEqual([
      "warning: Redis uses 95 % of its maxmemory",
    ]);
    const failed = { ...facts, persistence: { kinds: ["RDB"], failed: true } };
    expect(complaints(judgeRedis(failed))).toEqual([
      "error: Redis could not write its data to disk the last time",
    ]);
  });
});

describe("diagnoseStores", () => {
  it("tells each store that does not answer, and goes on with the others", async () => {
    const away = (): Promise<never> =>
      Promise.reject(new HAError("STORE_UNAVAILABLE", "connect ECONNREFUSED"));
    const facts: StoreFacts = { postgres: away, redis: () => Promise.resolve(null), objects: away };
    expect(complaints(await diagnoseStores(facts, 5))).toEqual([
      "error: PostgreSQL is not usable: connect ECONNREFUSED",
      "error: object storage is not usable: connect ECONNREFUSED",
    ]);
  });
});

describe("judgeDeployment", () => {
  const view = (more: Partial<DeploymentView>): DeploymentView => ({
    name: "default",
    topology: "v2",
    phase: "ready",
    dataDir: "/data",
    gateway: null,
    supervisor: { pid: 1 },
    instances: [],
    stores: {},
    demoModel: null,
    tenants: [],
    queue: { ready: 0, running: 0, oldestReadyMs: 0 },
    ...more,
  });
  const worker = {
    id: "worker-1",
    pool: "worker",
    pid: 7,
    url: null,
    state: "ready",
    startedAt: null,
    restarts: 0,
  } as const;

  it("has nothing to say about a deployment that is ready", () => {
    expect(complaints(judgeDeployment(view({ instances: [worker] }), true))).toEqual([]);
  });

  it("tells that nobody supervises, what crashed and what crashes again and again", () => {
    const instances = [
      { ...worker, state: "crashed" as const },
      { ...worker, id: "worker-2", restarts: 12 },
    ];
    expect(complaints(judgeDeployment(view({ instances, phase: "degraded" }), false))).toEqual([
      "warning: deployment default has no supervisor",
      "error: worker-1 has crashed",
      "warning: worker-2 was restarted 12 times",
    ]);
  });

  it("tells where the Control UI is, or how to get one, and calls neither a problem", () => {
    const gateway = { url: "ws://127.0.0.1:1", httpUrl: "http://127.0.0.1:1" };
    const there = judgeDeployment(
      view({ gateway: { ...gateway, controlUiUrl: "http://127.0.0.1:1/" } }),
      true,
    );
    expect(there.map(({ what }) => what).join()).toContain("the Control UI is at http://127.0.0.1:1/");
    const none = judgeDeployment(view({ gateway: { ...gateway, controlUiUrl: null } }), true);
    expect(none.map(({ what }) => what).join()).toContain("--control-ui DIR");
    expect(complaints([...there, ...none])).toEqual([]);
  });

  it("tells why the last start failed", () => {
    const failure = { code: "MISSING_DEPENDENCY", message: "no redis-server", hint: "up --install", at: "" };
    expect(judgeDeployment(view({ phase: "stopped", failure }), false)).toEqual([
      {
        severity: "warning",
        what: "deployment default is stopped; the last start failed: no redis-server",
        why: "nobody is answered",
        action: "up --install",
      },
    ]);
  });
});

describe("the machine", () => {
  it("lets a gateway open as many sockets as it takes clients", async () => {
    expect(judgeOpenFiles(1_024)).toMatchObject({
      severity: "warning",
      why: expect.stringContaining("2000"),
    });
    expect(judgeOpenFiles(Infinity).severity).toBe("ok");
    expect(await openFilesLimit()).toBeGreaterThan(100);
  });

  it("is looked through for programs that only some commands need", () => {
    const found = judgePrograms((name) => (name === "k6" ? "/bin/k6" : null));
    expect(found.map(({ severity, what }) => `${severity}: ${what}`)).toEqual([
      "ok: k6 is /bin/k6",
      expect.stringContaining("ok: bwrap is not installed"),
    ]);
  });

  it("must have a Node that runs TypeScript", () => {
    expect(judgeNode("22.22.0").severity).toBe("ok");
    expect(judgeNode("22.21.9").severity).toBe("error");
    expect(judgeNode("24.1.0").severity).toBe("ok");
  });

  it("must have room on the disk", () => {
    const mib = 1024 ** 2;
    expect(judgeDisk("/data", 100 * mib)).toMatchObject({
      severity: "error",
      what: "100 MiB free where /data lies",
    });
    expect(judgeDisk("/data", 1_536 * mib)).toMatchObject({
      severity: "warning",
      what: "1.5 GiB free where /data lies",
    });
    expect(judgeDisk("/data", 50_000 * mib).severity).toBe("ok");
  });

  it("tells a data directory that is not there", async () => {
    expect(complaints(await diagnoseDataDir("/nonexistent/data"))).toEqual([
      expect.stringMatching(/^error: \/nonexistent\/data cannot be written: ENOENT/),
    ]);
  });
});

describe("compareVersions", () => {
  it("compares numbers, not characters", () => {
    expect(compareVersions("6.10", "6.2")).toBe(1);
    expect(compareVersions("7", "7.0.0")).toBe(0);
    expect(compareVersions("22.21.9", "22.22.0")).toBe(-1);
  });
});
