import { ALL_PROMISES, PAIR } from "./common.ts";
import { defineScenario } from "../scenario.ts";
import { LONG_RUNS } from "./traffic.ts";

export const workerTerminated = defineScenario({
  name: "worker-terminated",
  claim: "A worker that is told to end finishes or hands over what it has, and nobody waits for it.",
  topology: PAIR,
  // The hot session is busy all the time, however long the first one takes to be back.
  traffic: { ...LONG_RUNS, hot: 0.2 },
  durationMs: 6_000,
  faults: [
    { atMs: 1500, fault: { kind: "signal", subject: "any-worker", signal: "SIGTERM" } },
    { atMs: 3500, fault: { kind: "signal", subject: "holder", signal: "SIGTERM" } },
  ],
  settleWithinMs: 30_000,
  validators: ALL_PROMISES,
  needs: ["signal"],
});
