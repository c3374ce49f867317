import { describe, expect, it } from "vitest";
import type { RecordOf } from "../history/format.ts";
import type { ScenarioSummary } from "../summary.ts";
import { soundEvidence } from "../validators/sound-evidence.fixture.ts";
import type { Evidence } from "../validators/validator.ts";
import { availabilityOf, availabilityScenario, PATIENCE_MS } from "./availability.ts";
import { breadthOf, crossTalkScenario, SESSIONS_MIN, TENANTS_MIN } from "./cross-talk.ts";
import { judgeKills } from "./judge.ts";
import { killScenarios } from "./kills.ts";

type Try = Partial<RecordOf<"invoke">> & {
  readonly took?: number;
  readonly outcome?: "ok" | "refused" | "lost";
};

/** A history of these tries alone; each is answered at once unless it says otherwise. */
function evidenceOf(tries: readonly Try[]): Evidence {
  const evidence = soundEvidence({ seed: 1 });
  evidence.history.records = tries
    .flatMap(({ outcome = "ok", took = 5, ...given }, op) => {
      const asked: RecordOf<"invoke"> = {
        type: "invoke",
        at: 0,
        op,
        method: "send",
        client: "c1",
        connection: 1,
        gateway: "gateway-1",
        tenant: "tenant-0",
        sessionKey: "agent:main:s0",
        key: `k${op}`,
        text: "",
        words: "",
        queueMode: null,
        intent: "plain",
        ...given,
      };
      const answered: RecordOf<"complete"> = {
        type: "complete",
        at: asked.at + took,
        op,
        outcome,
        status: null,
        runId: null,
        error: null,
        rows: null,
      };
      return [asked, answered];
    })
    .toSorted((a, b) => a.at - b.at);
  return evidence;
}

describe("availability", () => {
  it("takes all tries under one key for one request, which succeeds with its first answer", () => {
    const evidence = evidenceOf([
      { key: "a", outcome: "lost", took: 40 },
      { key: "a", at: 60, took: 10 },
      { key: "b", method: "history" },
    ]);
    expect(availabilityOf(evidence)).toMatchObject({
      requests: 2,
      failed: 0,
      lostTries: 1,
      share: 1,
      slowestMs: 70,
    });
  });

  it.each<[string, Try[]]>([
    ["nobody answers", [{ outcome: "lost" }]],
    ["is refused for good", [{ outcome: "refused" }]],
    ["is answered when its client has given up", [{ outcome: "lost" }, { at: PATIENCE_MS, took: 1 }]],
  ])("counts a request that %s as failed, and its window as bad", (_what, tries) => {
    const evidence = evidenceOf(tries.map((one) => ({ key: "a", ...one })));
    expect(availabilityOf(evidence)).toMatchObject({ requests: 1, failed: 1, badWindows: 1 });
  });

  it("does not hide a bad window behind good ones", () => {
    const good = Array.from({ length: 300 }, (_, i): Try => ({ at: i * 100 }));
    const evidence = evidenceOf([...good, { at: 15_000, outcome: "lost" }]);
    expect(availabilityOf(evidence)).toMatchObject({ failed: 1, windows: 3, badWindows: 1 });
  });

  it("counts a read that was lost and not repeated as a lost try, one that was refused as failed", () => {
    const evidence = evidenceOf([
      { method: "history", outcome: "lost" },
      { method: "history", outcome: "refused" },
    ]);
    expect(availabilityOf(evidence)).toMatchObject({ requests: 1, failed: 1, lostTries: 1 });
  });

  it("leaves out what is to be refused, and what belongs to a reconnect", () => {
    const evidence = evidenceOf([
      { intent: "conflict", outcome: "refused" },
      { method: "follow", outcome: "lost" },
    ]);
    expect(availabilityOf(evidence)).toMatchObject({ requests: 0, failed: 0 });
  });

  it("kills a gateway and a worker in every minute of its load", () => {
    for (const how of ["quick", "full"] as const) {
      const { durationMs, faults } = availabilityScenario(how);
      for (let minute = 0; minute * 60_000 < durationMs; minute++) {
        const within = faults.filter(({ atMs }) => Math.floor(atMs / 60_000) === minute);
        expect(within.map(({ fault }) => "subject" in fault && fault.subject)).toEqual([
          "any-gateway",
          "any-worker",
        ]);
        for (const { atMs } of within) expect(atMs).toBeLessThan(durationMs);
      }
    }
  });
});

describe("cross-talk", () => {
  it("asks for at least what the customer does", () => {
    const { traffic } = crossTalkScenario("quick");
    expect(traffic.tenants).toBeGreaterThanOrEqual(TENANTS_MIN);
    expect(traffic.tenants * traffic.sessions).toBeGreaterThan(SESSIONS_MIN);
  });

  it("counts tenants and sessions that had an answer, keys of two tenants apart", () => {
    const evidence = soundEvidence({ seed: 2, tenants: 3, sessions: 4, runs: 2 });
    expect(breadthOf(evidence)).toEqual({ tenants: 3, sessions: 12, runs: 26 });
    evidence.stores.runs = evidence.stores.runs.map((run) => ({ ...run, status: "queued" }));
    expect(breadthOf({ ...evidence })).toEqual({ tenants: 0, sessions: 0, runs: 0 });
  });
});

describe("kills", () => {
  const run: ScenarioSummary = {
    name: "worker-killed",
    seed: 1,
    verdict: "pass",
    reason: null,
    operations: 10,
    runs: 5,
    findings: [],
    gaps: [{ fault: "kill worker", faults: 1, affected: 2, p50Ms: 700, p99Ms: 900, maxMs: 900 }],
    dir: "/evidence/worker-killed-1",
    tookMs: 1,
  };

  it("tell the longest pause per kind, and where it is recorded", () => {
    expect(judgeKills([run, { ...run, gaps: [{ ...run.gaps[0]!, maxMs: 1_200 }] }])).toMatchObject({
      verdict: "pass",
      measured: { runs: 10, "kill worker, longest pause ms": 1_200 },
      evidence: [run.dir, run.dir],
    });
  });

  it("pass neither with a broken promise, nor with nothing recorded, nor with a run that was skipped", () => {
    expect(judgeKills([{ ...run, verdict: "fail", findings: ["fifo: b before a"] }])).toMatchObject({
      verdict: "fail",
      findings: ["worker-killed: fifo: b before a"],
    });
    expect(judgeKills([]).verdict).toBe("fail");
    expect(judgeKills([run, { ...run, verdict: "skipped", reason: "cannot" }]).verdict).toBe("fail");
  });

  it("are of every kind of process that a deployment has", () => {
    const subjects = killScenarios("quick").flatMap(({ faults }) =>
      faults.map(({ fault }) => ("subject" in fault ? fault.subject.replace(/^any-|-\d+$/g, "") : "")),
    );
    for (const kind of ["gateway", "control", "supervisor", "postgres", "redis"])
      expect(subjects).toContain(kind);
    expect(subjects.some((subject) => subject === "worker" || subject === "holder")).toBe(true);
  });
});
