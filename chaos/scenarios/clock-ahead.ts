import { ALL_PROMISES, PAIR } from "./common.ts";
import { defineScenario } from "../scenario.ts";
import { MAIN_TRAFFIC } from "./traffic.ts";

export const clockAhead = defineScenario({
  name: "clock-ahead",
  claim: "A worker and a gateway whose clocks are minutes ahead decide nothing by them.",
  topology: PAIR,
  traffic: MAIN_TRAFFIC,
  durationMs: 6_000,
  faults: [
    { atMs: 1000, fault: { kind: "clock-skew", subject: "any-worker", byMs: 300_000, forMs: 5_000 } },
    { atMs: 1000, fault: { kind: "clock-skew", subject: "any-gateway", byMs: 300_000, forMs: 5_000 } },
  ],
  settleWithinMs: 30_000,
  validators: ALL_PROMISES,
  needs: ["clock-skew"],
});
