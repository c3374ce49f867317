import { ALL_PROMISES, PAIR } from "./common.ts";
import { defineScenario } from "../scenario.ts";
import { LONG_RUNS } from "./traffic.ts";

export const redisFlushed = defineScenario({
  name: "redis-flushed",
  claim: "FLUSHALL costs latency only: the queue is built again from PostgreSQL.",
  topology: PAIR,
  traffic: LONG_RUNS,
  durationMs: 6_000,
  faults: [
    { atMs: 1500, fault: { kind: "flush", subject: "redis" } },
    { atMs: 3000, fault: { kind: "flush", subject: "redis" } },
    { atMs: 4500, fault: { kind: "flush", subject: "redis" } },
  ],
  settleWithinMs: 30_000,
  validators: ALL_PROMISES,
  needs: ["signal", "stores"],
});
