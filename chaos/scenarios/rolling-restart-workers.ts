import { ALL_PROMISES, PAIR } from "./common.ts";
import { defineScenario } from "../scenario.ts";
import { LONG_RUNS } from "./traffic.ts";

export const rollingRestartWorkers = defineScenario({
  name: "rolling-restart-workers",
  claim: "Replacing every worker, one after the other, is not noticed by anybody.",
  topology: PAIR,
  traffic: LONG_RUNS,
  durationMs: 8_000,
  faults: [{ atMs: 1000, fault: { kind: "rolling-restart", subject: "workers" } }],
  settleWithinMs: 30_000,
  validators: ALL_PROMISES,
  needs: ["signal", "rolling-restart"],
});
