import { ALL_PROMISES, PAIR } from "./common.ts";
import { defineScenario } from "../scenario.ts";
import { LONG_RUNS } from "./traffic.ts";

export const clockBehind = defineScenario({
  name: "clock-behind",
  claim: "A worker and the control process whose clocks are an hour behind decide nothing by them.",
  topology: PAIR,
  traffic: LONG_RUNS,
  durationMs: 6_000,
  faults: [
    { atMs: 1000, fault: { kind: "clock-skew", subject: "any-worker", byMs: -3_600_000, forMs: 5_000 } },
    { atMs: 1000, fault: { kind: "clock-skew", subject: "control-1", byMs: -3_600_000, forMs: 5_000 } },
    { atMs: 2500, fault: { kind: "signal", subject: "holder", signal: "SIGKILL" } },
  ],
  settleWithinMs: 30_000,
  validators: ALL_PROMISES,
  needs: ["clock-skew", "signal"],
});
