import { ALL_PROMISES, PAIR } from "./common.ts";
import { defineScenario } from "../scenario.ts";
import { MAIN_TRAFFIC } from "./traffic.ts";

export const gatewayKilled = defineScenario({
  name: "gateway-killed",
  claim: "A gateway that is killed costs its clients a new connection, and no event.",
  topology: PAIR,
  traffic: MAIN_TRAFFIC,
  durationMs: 6_000,
  faults: [
    { atMs: 1000, fault: { kind: "signal", subject: "any-gateway", signal: "SIGKILL" } },
    { atMs: 2500, fault: { kind: "signal", subject: "any-gateway", signal: "SIGKILL" } },
    { atMs: 4000, fault: { kind: "signal", subject: "any-gateway", signal: "SIGKILL" } },
  ],
  settleWithinMs: 30_000,
  validators: ALL_PROMISES,
  needs: ["signal"],
});
