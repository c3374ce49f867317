import { ALL_PROMISES, PAIR } from "./common.ts";
import { defineScenario } from "../scenario.ts";
import { LONG_RUNS } from "./traffic.ts";

export const workersAllKilled = defineScenario({
  name: "workers-all-killed",
  claim: "With every worker dead at once, what was acknowledged waits and is answered when they are back.",
  topology: PAIR,
  traffic: LONG_RUNS,
  durationMs: 6_000,
  faults: [{ atMs: 2000, fault: { kind: "signal", subject: "workers", signal: "SIGKILL" } }],
  settleWithinMs: 30_000,
  validators: ALL_PROMISES,
  needs: ["signal"],
});
