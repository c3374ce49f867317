import { ALL_PROMISES, PAIR } from "./common.ts";
import { defineScenario } from "../scenario.ts";
import { MAIN_TRAFFIC } from "./traffic.ts";

export const modelDisconnects = defineScenario({
  name: "model-disconnects",
  claim: "A model that breaks off in the middle of an answer does not leave half an answer behind.",
  topology: PAIR,
  traffic: MAIN_TRAFFIC,
  durationMs: 6_000,
  faults: [
    {
      atMs: 1000,
      fault: { kind: "model", directives: "chunks=8 delay=40 disconnect=4 times=1", forMs: 2_500 },
    },
    {
      atMs: 4000,
      fault: { kind: "model", directives: "chunks=8 delay=40 truncate=4 times=1", forMs: 2_000 },
    },
  ],
  settleWithinMs: 30_000,
  validators: ALL_PROMISES,
  needs: [],
});
