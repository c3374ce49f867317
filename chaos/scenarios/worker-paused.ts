import { ALL_PROMISES, PAIR } from "./common.ts";
import { defineScenario } from "../scenario.ts";
import { LONG_RUNS } from "./traffic.ts";

export const workerPaused = defineScenario({
  name: "worker-paused",
  claim: "A worker that wakes up after its lease has gone to another one changes nothing.",
  topology: PAIR,
  traffic: LONG_RUNS,
  durationMs: 13_000,
  faults: [{ atMs: 1500, fault: { kind: "pause", subject: "holder", forMs: 14_000 } }],
  // The lease lives for ten seconds, and the sweep looks every few.
  settleWithinMs: 45_000,
  validators: ALL_PROMISES,
  needs: ["signal"],
});
