import { ALL_PROMISES, PROXIED } from "./common.ts";
import { defineScenario } from "../scenario.ts";
import { MAIN_TRAFFIC } from "./traffic.ts";

export const slowNetwork = defineScenario({
  name: "slow-network",
  claim: "With every store and gateway far away, everything is slow and nothing is wrong.",
  topology: PROXIED,
  traffic: MAIN_TRAFFIC,
  durationMs: 6_000,
  faults: [
    { atMs: 1000, fault: { kind: "latency", subject: "postgres", ms: 15, jitterMs: 20, forMs: 5_000 } },
    { atMs: 1000, fault: { kind: "latency", subject: "redis", ms: 15, jitterMs: 20, forMs: 5_000 } },
    { atMs: 1000, fault: { kind: "latency", subject: "gateway-1", ms: 60, jitterMs: 80, forMs: 5_000 } },
    { atMs: 1000, fault: { kind: "latency", subject: "gateway-2", ms: 60, jitterMs: 80, forMs: 5_000 } },
  ],
  // Twice the way for every statement, and the work of the meantime.
  settleWithinMs: 45_000,
  validators: ALL_PROMISES,
  needs: ["network"],
});
