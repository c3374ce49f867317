import { ALL_PROMISES, PAIR } from "./common.ts";
import { defineScenario } from "../scenario.ts";
import { MAIN_TRAFFIC } from "./traffic.ts";

export const redisTerminated = defineScenario({
  name: "redis-terminated",
  claim: "An orderly restart of Redis, which forgets everything, costs latency only.",
  topology: PAIR,
  traffic: MAIN_TRAFFIC,
  durationMs: 6_000,
  faults: [{ atMs: 2000, fault: { kind: "signal", subject: "redis", signal: "SIGTERM" } }],
  settleWithinMs: 30_000,
  validators: ALL_PROMISES,
  needs: ["signal", "stores"],
});
