import { ALL_PROMISES, PAIR } from "./common.ts";
import { defineScenario } from "../scenario.ts";
import { LONG_RUNS } from "./traffic.ts";

export const controlKilled = defineScenario({
  name: "control-killed",
  claim:
    "Without its control process the deployment goes on, and what only a sweep repairs waits for the next one.",
  topology: PAIR,
  traffic: LONG_RUNS,
  durationMs: 6_000,
  faults: [
    { atMs: 1000, fault: { kind: "signal", subject: "control-1", signal: "SIGKILL" } },
    { atMs: 3000, fault: { kind: "signal", subject: "holder", signal: "SIGKILL" } },
  ],
  settleWithinMs: 30_000,
  validators: ALL_PROMISES,
  needs: ["signal"],
});
