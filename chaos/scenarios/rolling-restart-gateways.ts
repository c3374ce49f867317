import { ALL_PROMISES, PAIR } from "./common.ts";
import { defineScenario } from "../scenario.ts";
import { MAIN_TRAFFIC } from "./traffic.ts";

export const rollingRestartGateways = defineScenario({
  name: "rolling-restart-gateways",
  claim: "Replacing every gateway, one after the other, costs each client one new connection.",
  topology: PAIR,
  traffic: MAIN_TRAFFIC,
  durationMs: 8_000,
  faults: [{ atMs: 1000, fault: { kind: "rolling-restart", subject: "gateways" } }],
  settleWithinMs: 30_000,
  validators: ALL_PROMISES,
  needs: ["signal", "rolling-restart"],
});
