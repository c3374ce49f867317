import { ALL_PROMISES, PAIR } from "./common.ts";
import { defineScenario } from "../scenario.ts";
import { MAIN_TRAFFIC } from "./traffic.ts";

export const modelStalls = defineScenario({
  name: "model-stalls",
  claim:
    "A model that falls silent holds up its own session and no other, and a worker that dies meanwhile is replaced.",
  topology: PAIR,
  traffic: MAIN_TRAFFIC,
  durationMs: 6_000,
  faults: [
    { atMs: 1000, fault: { kind: "model", directives: "chunks=8 delay=40 stall=3 times=1", forMs: 1_500 } },
    { atMs: 3500, fault: { kind: "signal", subject: "holder", signal: "SIGKILL" } },
  ],
  // An answer counts as stalled after a silence of its own length.
  settleWithinMs: 150_000,
  validators: ALL_PROMISES,
  needs: ["signal"],
});
