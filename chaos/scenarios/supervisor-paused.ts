import { ALL_PROMISES, PAIR } from "./common.ts";
import { defineScenario } from "../scenario.ts";
import { MAIN_TRAFFIC } from "./traffic.ts";

export const supervisorPaused = defineScenario({
  name: "supervisor-paused",
  claim: "While the supervisor hangs, dead processes stay dead and the others do their work.",
  topology: PAIR,
  traffic: MAIN_TRAFFIC,
  durationMs: 6_000,
  faults: [
    { atMs: 1000, fault: { kind: "pause", subject: "supervisor", forMs: 4_000 } },
    { atMs: 2000, fault: { kind: "signal", subject: "any-worker", signal: "SIGKILL" } },
  ],
  settleWithinMs: 30_000,
  validators: ALL_PROMISES,
  needs: ["signal", "supervisor"],
});
