import { ALL_PROMISES, PROXIED } from "./common.ts";
import { defineScenario } from "../scenario.ts";
import { MAIN_TRAFFIC } from "./traffic.ts";

export const redisUnreachable = defineScenario({
  name: "redis-unreachable",
  claim: "A network that swallows everything to Redis costs latency only.",
  topology: PROXIED,
  traffic: MAIN_TRAFFIC,
  durationMs: 8_000,
  faults: [{ atMs: 1500, fault: { kind: "black-hole", subject: "redis", direction: "both", forMs: 5_000 } }],
  // Connections give up after seconds.
  settleWithinMs: 45_000,
  validators: ALL_PROMISES,
  needs: ["network"],
});
