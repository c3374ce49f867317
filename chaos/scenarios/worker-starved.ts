import { ALL_PROMISES, PAIR } from "./common.ts";
import { defineScenario } from "../scenario.ts";
import { LONG_RUNS } from "./traffic.ts";

export const workerStarved = defineScenario({
  name: "worker-starved",
  claim: "A worker that hardly gets to run keeps or loses its lease, and never shares it.",
  topology: PAIR,
  traffic: LONG_RUNS,
  durationMs: 8_000,
  faults: [{ atMs: 1500, fault: { kind: "cpu-starvation", subject: "holder", forMs: 5_000 } }],
  // What it holds goes on slowly, or waits for the lease to run out.
  settleWithinMs: 60_000,
  validators: ALL_PROMISES,
  needs: ["cpu"],
});
