import { ALL_PROMISES, PAIR } from "./common.ts";
import { defineScenario } from "../scenario.ts";
import { SPREAD_OUT } from "./traffic.ts";

export const modelStalls = defineScenario({
  name: "model-stalls",
  claim:
    "A model that falls silent holds up its own session and no other, and a worker that dies meanwhile is replaced.",
  topology: PAIR,
  traffic: SPREAD_OUT,
  durationMs: 6_000,
  faults: [
    { atMs: 1000, fault: { kind: "model", directives: "chunks=8 delay=40 stall=3 times=1", forMs: 500 } },
    { atMs: 3500, fault: { kind: "signal", subject: "any-worker", signal: "SIGKILL" } },
  ],
  // A silence of a minute counts as a stall, and a session may meet two or three, one after the other.
  settleWithinMs: 200_000,
  validators: ALL_PROMISES,
  needs: ["signal"],
});
