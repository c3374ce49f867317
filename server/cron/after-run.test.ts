import { describe, expect, it } from "vitest";
import type { CronJob } from "../core/cron.ts";
import { agentId, type RunId, sessionKey, tenantId } from "../core/ids.ts";
import type { RunRecord } from "../core/run.ts";
import { afterRun, FAILURES_MAX } from "./after-run.ts";

const START = 1_790_000_000_000;
const END = START + 5_000;
const MINUTE = 60_000;

const job = (over: Partial<CronJob> = {}, definition: Partial<CronJob["definition"]> = {}): CronJob => ({
  tenant: tenantId("acme"),
  jobId: "job-1",
  definition: {
    name: "job",
    schedule: { kind: "every", everyMs: MINUTE, anchorMs: START },
    zone: "UTC",
    sessionTarget: "isolated",
    wakeMode: "now",
    payload: { kind: "agentTurn", message: "hi" },
    ...definition,
  },
  enabled: true,
  revision: 1,
  createdAt: START,
  updatedAt: START,
  nextRunAt: null,
  running: { runId: "run-1" as RunId, since: START, manual: false },
  last: null,
  consecutiveErrors: 0,
  ...over,
});

const run = (status: RunRecord["status"], kind = "model_rejected"): RunRecord => ({
  tenant: tenantId("acme"),
  runId: "run-1" as RunId,
  sessionKey: sessionKey("agent:main:cron:job-1"),
  sessionId: "s",
  agentId: agentId("main"),
  lane: "cron",
  status,
  attempt: 1,
  failures: 0,
  worker: null,
  acceptedAt: START,
  startedAt: START,
  endedAt: END,
  abortRequested: false,
  result: null,
  error: status === "succeeded" || status === "aborted" ? null : { kind, message: "no" },
});

const once = { schedule: { kind: "at", at: new Date(START).toISOString() } as const, deleteAfterRun: true };

describe("a job after its run", () => {
  it("runs again in time, and its errors are forgotten", () => {
    expect(afterRun(job({ consecutiveErrors: 4 }), run("succeeded"))).toMatchObject({
      last: { at: START, status: "ok", error: null, durationMs: 5_000 },
      consecutiveErrors: 0,
      enabled: true,
      nextRunAt: START + MINUTE,
      remove: false,
    });
  });

  it.each([
    [0, 30_000],
    [1, 60_000],
    [2, 300_000],
    [3, 900_000],
    [4, 3_600_000],
    [7, 3_600_000],
  ])(
    "rests after %i failures before this one for %i ms, if that is longer than its interval",
    (before, ms) => {
      const settled = afterRun(job({ consecutiveErrors: before }), run("failed"));
      expect(settled).toMatchObject({
        consecutiveErrors: before + 1,
        nextRunAt: Math.max(START + MINUTE, END + ms),
      });
    },
  );

  it("is tried before its time where the cause may pass, three times", () => {
    const daily = { schedule: { kind: "every", everyMs: 1_440 * MINUTE, anchorMs: START } as const };
    const after = (errors: number) =>
      afterRun(job({ consecutiveErrors: errors }, daily), run("failed", "model_unavailable")).nextRunAt;
    expect([after(0), after(1), after(2), after(3)]).toEqual([
      END + 30_000,
      END + 60_000,
      END + 300_000,
      START + 1_440 * MINUTE,
    ]);
  });

  it("is switched off after too many failures in a row", () => {
    expect(afterRun(job({ consecutiveErrors: FAILURES_MAX - 1 }), run("dead"))).toMatchObject({
      enabled: false,
      nextRunAt: null,
      consecutiveErrors: FAILURES_MAX,
    });
  });

  it("is removed, or kept and switched off, if it was for one time", () => {
    expect(afterRun(job({}, once), run("succeeded"))).toMatchObject({ remove: true });
    expect(afterRun(job({}, { ...once, deleteAfterRun: false }), run("succeeded"))).toMatchObject({
      remove: false,
      enabled: false,
      nextRunAt: null,
    });
    expect(afterRun(job({}, once), run("aborted"))).toMatchObject({
      remove: false,
      enabled: false,
      last: { status: "error", error: "the run was aborted" },
    });
    expect(afterRun(job({}, once), run("dead", "worker_lost"))).toMatchObject({
      remove: false,
      enabled: true,
      nextRunAt: END + 30_000,
    });
  });

  it("keeps its schedule after a run by hand", () => {
    const manual = { runId: "run-1" as RunId, since: START, manual: true };
    expect(afterRun(job({ running: manual, nextRunAt: 7 }, once), run("succeeded"))).toMatchObject({
      enabled: true,
      nextRunAt: 7,
      remove: false,
    });
  });

  it("stays switched off if a user has switched it off meanwhile", () => {
    expect(afterRun(job({ enabled: false }), run("succeeded"))).toMatchObject({
      enabled: false,
      nextRunAt: null,
    });
  });
});
