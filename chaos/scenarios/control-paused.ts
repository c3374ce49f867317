import { ALL_PROMISES, PAIR } from "./common.ts";
import { defineScenario } from "../scenario.ts";
import { LONG_RUNS } from "./traffic.ts";

export const controlPaused = defineScenario({
  name: "control-paused",
  claim: "A control process that hangs delays repairs and nothing else.",
  topology: PAIR,
  traffic: LONG_RUNS,
  durationMs: 6_000,
  faults: [
    { atMs: 1000, fault: { kind: "pause", subject: "control-1", forMs: 5_000 } },
    { atMs: 2500, fault: { kind: "signal", subject: "holder", signal: "SIGKILL" } },
  ],
  settleWithinMs: 30_000,
  validators: ALL_PROMISES,
  needs: ["signal"],
});
