import { describe, expect, it } from "vitest";
import { agentId, runId, sessionKey, tenantId } from "../core/ids.ts";
import { type RunEvent, type RunEventBody, runSeqOf } from "../core/run-event.ts";
import type { RunRecord } from "../core/run.ts";
import { seededRandom } from "../testing/seeded-random.ts";
import { endOfEvent, endOfRecord, RunView } from "./run-view.ts";

const RUN = {
  tenant: tenantId("acme"),
  sessionKey: sessionKey("agent:main:main"),
  agentId: agentId("main"),
  runId: runId("k1"),
};
const event = (attempt: number, n: number, body: RunEventBody, token = attempt): RunEvent => ({
  ...RUN,
  token,
  runSeq: runSeqOf(attempt, n),
  at: 1,
  body,
});
const delta = (text: string): RunEventBody => ({ type: "delta", text });
const started: RunEventBody = { type: "started", text: "" };

describe("RunView.judge", () => {
  it("applies the next number, drops what is old, and sees what is missing", () => {
    const view = new RunView(RUN);
    expect(view.judge(event(1, 1, started))).toBe("apply");
    view.absorb(event(1, 1, started));
    expect(view.judge(event(1, 1, started))).toBe("drop");
    expect(view.judge(event(1, 2, delta("a")))).toBe("apply");
    expect(view.judge(event(1, 3, delta("b")))).toBe("gap");
  });

  it("waits for nothing of an attempt that a later one has replaced", () => {
    const view = new RunView(RUN);
    view.absorb(event(1, 1, started));
    expect(view.judge(event(2, 1, started))).toBe("apply");
    expect(view.judge(event(2, 2, delta("a")))).toBe("gap");
  });

  it("drops events of a smaller token, whatever their number", () => {
    const view = new RunView(RUN);
    view.absorb(event(2, 1, started, 7));
    expect(view.judge(event(2, 2, delta("a"), 6))).toBe("drop");
  });

  it("begins in the middle with a gap", () => {
    expect(new RunView(RUN).judge(event(1, 5, delta("e")))).toBe("gap");
  });
});

describe("RunView text", () => {
  it("is what the events say, told piece by piece", () => {
    const view = new RunView(RUN);
    view.absorb(event(1, 1, started));
    view.absorb(event(1, 2, delta("one")));
    view.told = 3;
    view.absorb(event(1, 3, delta(" two")));
    expect(view.text.slice(view.told)).toBe(" two");
    expect(view.retold).toBe(false);
  });

  it("that only grows by a whole text needs no retelling; one that changes does", () => {
    const view = new RunView(RUN);
    view.setText("one");
    view.told = 3;
    view.setText("one two");
    expect([view.retold, view.told]).toEqual([false, 3]);
    view.setText("other");
    expect([view.retold, view.told]).toEqual([true, 0]);
  });

  it("is unknown after a gap that cannot be filled, until the next whole text", () => {
    const view = new RunView(RUN);
    view.absorb(event(1, 1, started));
    view.absorb(event(1, 3, delta("b")));
    expect([view.blind, view.text]).toEqual([true, ""]);
    view.absorb(event(1, 4, { type: "replace", text: "abc" }));
    view.absorb(event(1, 5, delta("d")));
    expect([view.blind, view.text]).toEqual([false, "abcd"]);
  });

  it("told with the rules of the protocol always rebuilds the text, whatever is lost on the way", () => {
    const random = seededRandom(3);
    for (let round = 0; round < 200; round++) {
      const view = new RunView(RUN);
      let truth = "";
      let heard = "";
      const hear = (): void => {
        if (view.blind || !view.untold) return;
        heard = view.retold ? view.text : heard + view.text.slice(view.told);
        view.told = view.text.length;
        view.retold = false;
      };
      for (let n = 1; n <= 30; n++) {
        const whole = n === 1 || random.float() < 0.2;
        if (!whole) truth += String.fromCodePoint(97 + (n % 26));
        else if (random.float() < 0.3) truth = truth.slice(0, 2);
        const body: RunEventBody = whole ? { type: "replace", text: truth } : delta(truth.slice(-1));
        if (random.float() < 0.2) continue; // lost for good
        view.absorb(event(1, n, body));
        if (random.float() < 0.7) hear();
      }
      view.absorb(event(1, 31, { type: "final", text: truth, stopReason: "stop" }));
      hear();
      expect(heard).toBe(truth);
    }
  });
});

describe("the end of a run", () => {
  const record = (change: Partial<RunRecord>): RunRecord => ({
    ...RUN,
    sessionId: "s",
    lane: "main",
    status: "succeeded",
    attempt: 2,
    failures: 0,
    worker: null,
    acceptedAt: 1,
    startedAt: 2,
    endedAt: 3,
    abortRequested: false,
    result: { text: "answer", stopReason: "stop" },
    error: null,
    ...change,
  });

  it("read from the ledger has a number after all of its attempt and before the next", () => {
    const end = endOfRecord({ ...record({}), status: "succeeded" });
    expect(end.runSeq).toBeGreaterThan(runSeqOf(2, 2 ** 20 - 1));
    expect(end.runSeq).toBeLessThan(runSeqOf(3, 1));
    expect(end).toMatchObject({ text: "answer", stopReason: "stop" });
  });

  it.each([
    ["succeeded", { type: "final", text: "t", stopReason: "length" }, "length"],
    ["aborted", { type: "aborted", text: "t", reason: "aborted" }, "rpc"],
    ["timed_out", { type: "aborted", text: "t", reason: "timeout" }, "timeout"],
    ["failed", { type: "error", error: { kind: "model_auth", message: "m" } }, "error"],
  ] as const)("%s is told alike by the bus and by the ledger", (status, body, stopReason) => {
    const view = new RunView(RUN);
    view.absorb(event(1, 1, { type: "started", text: "t" }));
    const last = event(1, 2, body);
    view.absorb(last);
    const result = { text: "t", stopReason: status === "succeeded" ? "length" : status };
    const byLedger = endOfRecord({ ...record({ result }), status });
    expect(endOfEvent(view, last)).toMatchObject({ status, stopReason, text: "t" });
    expect(byLedger).toMatchObject({ status, stopReason, text: "t" });
  });
});
