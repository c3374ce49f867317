import { ALL_PROMISES, PAIR } from "./common.ts";
import { defineScenario } from "../scenario.ts";
import { MAIN_TRAFFIC } from "./traffic.ts";

export const supervisorTerminated = defineScenario({
  name: "supervisor-terminated",
  claim: "A supervisor that is told to end leaves everything running, and the next one takes it over.",
  topology: PAIR,
  traffic: MAIN_TRAFFIC,
  durationMs: 6_000,
  faults: [{ atMs: 1000, fault: { kind: "signal", subject: "supervisor", signal: "SIGTERM" } }],
  settleWithinMs: 30_000,
  validators: ALL_PROMISES,
  needs: ["signal", "supervisor"],
});
