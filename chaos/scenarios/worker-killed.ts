import { ALL_PROMISES, PAIR } from "./common.ts";
import { defineScenario } from "../scenario.ts";
import { LONG_RUNS } from "./traffic.ts";

export const workerKilled = defineScenario({
  name: "worker-killed",
  claim:
    "A worker that is killed in the middle of its runs costs a pause of about a second, and nothing else.",
  topology: PAIR,
  traffic: LONG_RUNS,
  durationMs: 6_000,
  faults: [
    { atMs: 1200, fault: { kind: "signal", subject: "holder", signal: "SIGKILL" } },
    { atMs: 3500, fault: { kind: "signal", subject: "holder", signal: "SIGKILL" } },
  ],
  settleWithinMs: 30_000,
  validators: ALL_PROMISES,
  needs: ["signal"],
});
