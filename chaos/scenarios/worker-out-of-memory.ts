import { ALL_PROMISES, PAIR } from "./common.ts";
import { defineScenario } from "../scenario.ts";
import { LONG_RUNS } from "./traffic.ts";

export const workerOutOfMemory = defineScenario({
  name: "worker-out-of-memory",
  claim: "A worker that the kernel kills for its memory is a worker that was killed.",
  topology: PAIR,
  traffic: LONG_RUNS,
  durationMs: 6_000,
  faults: [
    { atMs: 1500, fault: { kind: "memory-limit", subject: "holder", bytes: 2_000_000, forMs: 3_000 } },
  ],
  // As after a kill.
  settleWithinMs: 45_000,
  validators: ALL_PROMISES,
  needs: ["memory"],
});
