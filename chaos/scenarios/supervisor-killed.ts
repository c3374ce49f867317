import { ALL_PROMISES, PAIR } from "./common.ts";
import { defineScenario } from "../scenario.ts";
import { MAIN_TRAFFIC } from "./traffic.ts";

export const supervisorKilled = defineScenario({
  name: "supervisor-killed",
  claim: "A deployment runs on without its supervisor, and the next one takes over what runs.",
  topology: PAIR,
  traffic: MAIN_TRAFFIC,
  durationMs: 6_000,
  faults: [{ atMs: 1000, fault: { kind: "signal", subject: "supervisor", signal: "SIGKILL" } }],
  settleWithinMs: 30_000,
  validators: ALL_PROMISES,
  needs: ["signal", "supervisor"],
});
