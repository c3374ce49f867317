import { ALL_PROMISES } from "../scenarios/common.ts";
import type { Trial } from "./planted-bug.ts";
import { QUIET, SMALL } from "./trial-parts.ts";

/** Trials of queue modes, and of what nobody waits for. */
export const BACKGROUND_TRIALS: readonly Trial[] = [
  {
    name: "queue-modes",
    claim:
      "What is said to a busy session, in any mode, is answered also where the worker of the turn is killed.",
    topology: SMALL,
    traffic: {
      tenants: 2,
      sessions: 2,
      clients: 4,
      perSecond: 9,
      hot: 0.6,
      // Two steps, the second long enough to be cut: what joined before it has to be known to who goes on.
      directives: ["latency=150 tool=look]] [[demo latency=150 chunks=6 delay=60", "chunks=6 delay=60"],
      mix: { ...QUIET, interrupts: 0.9, followers: 0.3 },
    },
    durationMs: 5_500,
    faults: [1_000, 2_500, 4_000].map((atMs) => ({
      atMs,
      fault: { kind: "signal", subject: "holder", signal: "SIGKILL" },
    })),
    // A takeover costs a second, and the hot session then has several turns to go through.
    settleWithinMs: 25_000,
    validators: ALL_PROMISES,
    needs: ["signal"],
    seed: 11,
    equipment: [],
    hasTools: false,
  },
  {
    name: "cron-leader-killed",
    claim: "Cron jobs run once each, whoever is killed while they fall due and run.",
    topology: SMALL,
    traffic: {
      tenants: 2,
      sessions: 6,
      clients: 4,
      perSecond: 12,
      hot: 0.1,
      directives: ["chunks=15 delay=100"],
      mix: { ...QUIET, cronJobs: 0.6 },
    },
    durationMs: 3_500,
    faults: [{ atMs: 2_000, fault: { kind: "signal", subject: "control-1", signal: "SIGKILL" } }],
    // Two seconds until the next one leads, then a few runs of a second and a half in each session.
    settleWithinMs: 20_000,
    validators: ALL_PROMISES,
    needs: ["signal"],
    seed: 11,
    equipment: [],
    hasTools: false,
  },
  {
    name: "subagents",
    claim: "The end of a subagent is announced once, also where its worker is killed.",
    topology: SMALL,
    traffic: {
      tenants: 2,
      sessions: 3,
      clients: 4,
      perSecond: 6,
      hot: 0.2,
      directives: ["chunks=4 delay=40"],
      mix: { ...QUIET, subagents: 0.7 },
    },
    durationMs: 3_500,
    faults: [{ atMs: 2_200, fault: { kind: "signal", subject: "workers", signal: "SIGKILL" } }],
    // The workers are back in a second or two; then there are twice as many runs as messages.
    settleWithinMs: 20_000,
    validators: ALL_PROMISES,
    needs: ["signal"],
    seed: 11,
    equipment: [],
    hasTools: false,
  },
];
