import { describe, expect, it } from "vitest";
import { historyRecord } from "../history/format.ts";
import { judge } from "../judge.ts";
import { storesSnapshot } from "../stores/snapshot.ts";
import { BROKEN, type Breaking, finder } from "./broken-evidence.fixture.ts";
import { VALIDATORS } from "./index.ts";
import { soundEvidence, type SoundOptions } from "./sound-evidence.fixture.ts";

/** Without takeovers, tools and luck: the first of each thing is what one expects. */
const CALM: SoundOptions = { seed: 3, takeovers: 0 };

function brokenBy(breaking: Breaking, options = CALM) {
  const evidence = soundEvidence(options);
  breaking(evidence, finder(evidence));
  return judge(evidence).promises.filter(({ broken }) => broken > 0);
}

describe("validators", () => {
  it("find nothing in a sound history, whatever chance makes of it", () => {
    for (let seed = 1; seed <= 60; seed++) {
      const evidence = soundEvidence({ seed, tenants: 2 + (seed % 3), runs: 4 + (seed % 5) });
      const { verdict, promises } = judge(evidence);
      expect({ seed, broken: promises.flatMap(({ violations }) => violations) }).toEqual({
        seed,
        broken: [],
      });
      expect({ seed, promises, verdict }).toMatchObject({ verdict: "pass" });
    }
  });

  it("read what the formats of history and snapshot allow, and nothing else", () => {
    const { history, stores } = soundEvidence({ seed: 5 });
    expect(storesSnapshot.parse(stores)).toEqual(stores);
    expect(history.records.map((record) => historyRecord.parse(record))).toEqual(history.records);
  });

  it.each(BROKEN)("%s is broken by %s, and no other promise", (promise, _what, breaking) => {
    expect(brokenBy(breaking).map(({ name }) => name)).toEqual([promise]);
  });

  it("has a broken history for every promise", () => {
    expect([...new Set(BROKEN.map(([promise]) => promise))]).toEqual(
      VALIDATORS.map(({ promise }) => promise),
    );
  });

  it("let a paused holder's call stay open, and no other's", () => {
    const options = { seed: 3, takeovers: 1 };
    expect(brokenBy(() => undefined, options)).toEqual([]);
    const unexplained = brokenBy((_, { drop }) => drop(({ type }) => type === "fault"), options);
    expect(unexplained.map(({ name }) => name)).toEqual(["exclusive"]);
  });

  it("let a client read the end that it did not hear", () => {
    const broken = brokenBy((_, { add, chats, drop, run, sent }) => {
      const { asked, answer } = sent(run(0).runId);
      drop((r) => r.type === "chat" && r.state === "final" && r.runId === asked.key);
      expect(chats(run(0).runId).length).toBeGreaterThan(0);
      for (const [op, client] of [
        asked.client,
        asked.client.replace(/.$/, "a"),
        asked.client.replace(/.$/, "b"),
      ].entries()) {
        add({ ...asked, op: 9_000 + op, client, method: "history", key: null, text: null, words: null });
        const rows = [{ role: "assistant", text: String(run(0).text), seq: 2 }];
        add({ ...answer, op: 9_000 + op, status: null, runId: null, rows });
      }
    });
    expect(broken).toEqual([]);
  });

  it.each<[string, Breaking, RegExp]>([
    [
      "too little traffic",
      (_, { drop }) => drop(({ type }) => type === "invoke" || type === "complete"),
      /only 0 sends/,
    ],
    [
      "a fault that was not shown",
      (_, { add }) =>
        add({
          type: "fault",
          at: 0,
          id: "f",
          kind: "kill",
          subject: "worker-1",
          phase: "injected",
          detail: "",
        }),
      /kill of worker-1 \(f\) was not shown/,
    ],
    [
      "a fault that could not be done",
      (_, { add }) =>
        add({
          type: "fault",
          at: 0,
          id: "f",
          kind: "kill",
          subject: "worker-1",
          phase: "failed",
          detail: "no such process",
        }),
      /no such process/,
    ],
    [
      "a clock that goes back",
      ({ history }) => void history.records.push({ type: "note", at: 0, text: "" }),
      /time goes back/,
    ],
    [
      "an answer without a request",
      (_, { add, sent, run }) => add({ ...sent(run(0).runId).answer, op: 9_001 }),
      /9001 ended and was never begun/,
    ],
  ])("prove nothing with %s", (_what, breaking, reason) => {
    const evidence = soundEvidence(CALM);
    breaking(evidence, finder(evidence));
    const { verdict, promises } = judge(evidence);
    expect(verdict).toBe("fail");
    for (const { unproven } of promises) expect(unproven.join()).toMatch(reason);
  });

  // The limit is far above what it takes and far below what anything quadratic would.
  it("judge a hundred thousand records", { timeout: 60_000 }, () => {
    const evidence = soundEvidence({ seed: 9, tenants: 20, sessions: 20, runs: 25, takeovers: 0.01 });
    expect(evidence.history.records.length).toBeGreaterThan(100_000);
    expect(judge(evidence).promises.filter(({ broken }) => broken > 0)).toEqual([]);
  });
});

describe("judge", () => {
  it("names faults of the scenario that did not happen, and passes only what was proven", () => {
    const evidence = soundEvidence(CALM);
    const fault = { kind: "signal", subject: "worker-1", signal: "SIGKILL" } as const;
    const verdict = judge(evidence, { validators: ["fifo"], faults: [{ atMs: 1, fault }] });
    expect(verdict.promises).toMatchObject([
      { name: "fifo", verdict: "unproven", unproven: ["1 faults of kind signal or kill did not happen"] },
    ]);
    expect(verdict.verdict).toBe("fail");
    expect(judge(evidence, { validators: ["fifo"], faults: [] }).promises).toHaveLength(VALIDATORS.length);
  });

  it("measures from a fault to the next event of the runs that were under way", () => {
    const [gap] = judge(soundEvidence({ seed: 3, takeovers: 1 })).gaps;
    expect(gap?.fault).toBe("pause worker");
    expect(gap?.affected).toBeGreaterThan(0);
    expect(gap?.maxMs).toBeGreaterThan(10);
    expect(gap?.maxMs).toBeLessThan(60);
  });
});
