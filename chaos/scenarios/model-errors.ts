import { ALL_PROMISES, PAIR } from "./common.ts";
import { defineScenario } from "../scenario.ts";
import { MAIN_TRAFFIC } from "./traffic.ts";

export const modelErrors = defineScenario({
  name: "model-errors",
  claim: "Errors of the model provider are tried again, and what cannot be answered ends as failed, once.",
  topology: PAIR,
  traffic: MAIN_TRAFFIC,
  durationMs: 6_000,
  faults: [
    { atMs: 1000, fault: { kind: "model", directives: "error=503 times=1 chunks=3 delay=10", forMs: 2_000 } },
    { atMs: 3500, fault: { kind: "model", directives: "error=429 retry-after=1 times=1", forMs: 1_200 } },
    { atMs: 4800, fault: { kind: "model", directives: "error=400", forMs: 1_000 } },
  ],
  settleWithinMs: 30_000,
  validators: ALL_PROMISES,
  needs: [],
});
