import { ALL_PROMISES, PAIR } from "./common.ts";
import { defineScenario } from "../scenario.ts";
import { LONG_RUNS } from "./traffic.ts";

export const workerHiccup = defineScenario({
  name: "worker-hiccup",
  claim: "A worker that stands still for less than its lease goes on as if nothing had been.",
  topology: PAIR,
  traffic: LONG_RUNS,
  durationMs: 6_000,
  faults: [{ atMs: 1500, fault: { kind: "pause", subject: "holder", forMs: 2_500 } }],
  settleWithinMs: 30_000,
  validators: ALL_PROMISES,
  needs: ["signal"],
});
