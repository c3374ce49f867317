import { ALL_PROMISES, PAIR } from "./common.ts";
import { defineScenario } from "../scenario.ts";
import { LONG_RUNS } from "./traffic.ts";

export const gatewaysAllKilled = defineScenario({
  name: "gateways-all-killed",
  claim: "With every gateway dead at once, runs go on, and clients hear the rest when one is back.",
  topology: PAIR,
  traffic: LONG_RUNS,
  durationMs: 6_000,
  faults: [{ atMs: 2000, fault: { kind: "signal", subject: "gateways", signal: "SIGKILL" } }],
  settleWithinMs: 30_000,
  validators: ALL_PROMISES,
  needs: ["signal"],
});
