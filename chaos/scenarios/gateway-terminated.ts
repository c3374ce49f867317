import { ALL_PROMISES, PAIR } from "./common.ts";
import { defineScenario } from "../scenario.ts";
import { MAIN_TRAFFIC } from "./traffic.ts";

export const gatewayTerminated = defineScenario({
  name: "gateway-terminated",
  claim: "A gateway that is told to end sends its clients to another one, and they miss nothing.",
  topology: PAIR,
  traffic: MAIN_TRAFFIC,
  durationMs: 6_000,
  faults: [
    { atMs: 1500, fault: { kind: "signal", subject: "any-gateway", signal: "SIGTERM" } },
    { atMs: 3800, fault: { kind: "signal", subject: "any-gateway", signal: "SIGTERM" } },
  ],
  settleWithinMs: 30_000,
  validators: ALL_PROMISES,
  needs: ["signal"],
});
