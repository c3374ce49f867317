import { ALL_PROMISES, PAIR } from "./common.ts";
import { defineScenario } from "../scenario.ts";
import { MAIN_TRAFFIC } from "./traffic.ts";

export const redisKilled = defineScenario({
  name: "redis-killed",
  claim: "A crash of Redis costs latency only: runs are accepted, executed and told.",
  topology: PAIR,
  traffic: MAIN_TRAFFIC,
  durationMs: 7_000,
  faults: [
    { atMs: 1500, fault: { kind: "signal", subject: "redis", signal: "SIGKILL" } },
    { atMs: 4000, fault: { kind: "signal", subject: "redis", signal: "SIGKILL" } },
  ],
  settleWithinMs: 30_000,
  validators: ALL_PROMISES,
  needs: ["signal", "stores"],
});
