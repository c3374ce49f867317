import { describe, expect, it } from "vitest";
import type { PromiseVerdict, Verdict } from "./judge.ts";
import type { RunResult } from "./result.ts";
import { brokenPromises, summarize } from "./summary.ts";

const promise = (verdict: PromiseVerdict["verdict"], checked = 10): PromiseVerdict => ({
  name: "fifo",
  claim: "runs execute in the order of their acks",
  verdict,
  checked,
  broken: verdict === "fail" ? 1 : 0,
  violations: verdict === "fail" ? [{ what: "b before a", at: 5 }] : [],
  unproven: verdict === "unproven" ? ["too little traffic"] : [],
});

const result = (verdict: PromiseVerdict["verdict"], seed = 1): RunResult => {
  const judged: Verdict = {
    verdict: verdict === "pass" ? "pass" : "fail",
    scenario: "s",
    seed,
    promises: [promise(verdict)],
    gaps: [],
    operations: 4,
    runs: 2,
  };
  return {
    scenario: "s",
    claim: "c",
    seed,
    verdict: judged.verdict,
    judged,
    reason: null,
    dir: null,
    tookMs: 1,
  };
};

const skipped: RunResult = { ...result("pass"), verdict: "skipped", judged: null, reason: "cannot do: cpu" };

describe("a summary", () => {
  it("passes where everything that was run passed, whatever was skipped", () => {
    const summary = summarize([result("pass", 1), result("pass", 2), skipped], 1, "r");
    expect(summary).toMatchObject({
      verdict: "pass",
      promises: [{ name: "fifo", verdict: "pass", checked: 20, violations: [] }],
      scenarios: [{ verdict: "pass" }, { verdict: "pass" }, { verdict: "skipped", reason: "cannot do: cpu" }],
    });
  });

  it("fails with the promise that was broken, and the run that broke it", () => {
    const summary = summarize([result("pass", 1), result("fail", 2), result("unproven", 3)], 1, "r");
    expect(summary).toMatchObject({
      verdict: "fail",
      promises: [{ verdict: "fail", violations: [{ what: "b before a", scenario: "s", seed: 2 }] }],
    });
    expect(brokenPromises(summary)).toEqual(["fifo"]);
  });

  it("does not pass what proved nothing: an unproven run, a run that broke off, or no run at all", () => {
    const broke: RunResult = { ...result("pass"), verdict: "fail", judged: null, reason: "not ready" };
    for (const results of [[result("unproven")], [result("pass"), broke], [skipped], []]) {
      expect(summarize(results, 1, "r").verdict).toBe("fail");
    }
    expect(summarize([result("unproven")], 1, "r").promises).toMatchObject([
      { verdict: "unproven", unproven: [{ why: "too little traffic", scenario: "s", seed: 1 }] },
    ]);
  });
});
