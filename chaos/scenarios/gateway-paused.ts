import { ALL_PROMISES, PAIR } from "./common.ts";
import { defineScenario } from "../scenario.ts";
import { MAIN_TRAFFIC } from "./traffic.ts";

export const gatewayPaused = defineScenario({
  name: "gateway-paused",
  claim: "Clients leave a gateway that hangs, and what it does after it wakes up harms nobody.",
  topology: PAIR,
  traffic: MAIN_TRAFFIC,
  durationMs: 8_000,
  faults: [{ atMs: 1500, fault: { kind: "pause", subject: "any-gateway", forMs: 5_000 } }],
  settleWithinMs: 30_000,
  validators: ALL_PROMISES,
  needs: ["signal"],
});
