import { ALL_PROMISES, PAIR } from "./common.ts";
import { defineScenario } from "../scenario.ts";
import { MAIN_TRAFFIC } from "./traffic.ts";

export const redisPaused = defineScenario({
  name: "redis-paused",
  claim: "While Redis hangs, runs are accepted and executed without it, and finals arrive.",
  topology: PAIR,
  traffic: MAIN_TRAFFIC,
  durationMs: 8_000,
  faults: [{ atMs: 1500, fault: { kind: "pause", subject: "redis", forMs: 5_000 } }],
  settleWithinMs: 30_000,
  validators: ALL_PROMISES,
  needs: ["signal", "stores"],
});
