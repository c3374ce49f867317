import { ALL_PROMISES, PROXIED } from "./common.ts";
import { defineScenario } from "../scenario.ts";
import { MAIN_TRAFFIC } from "./traffic.ts";

export const halfOpen = defineScenario({
  name: "half-open",
  claim: "A gateway whose end is told late is left by its clients all the same.",
  topology: PROXIED,
  traffic: MAIN_TRAFFIC,
  durationMs: 8_000,
  faults: [{ atMs: 1500, fault: { kind: "slow-close", subject: "gateway-1", ms: 4_000, forMs: 5_000 } }],
  settleWithinMs: 30_000,
  validators: ALL_PROMISES,
  needs: ["network", "signal"],
});
