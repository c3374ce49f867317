import { ALL_PROMISES, PROXIED } from "./common.ts";
import { defineScenario } from "../scenario.ts";
import { MAIN_TRAFFIC } from "./traffic.ts";

export const gatewayUnreachable = defineScenario({
  name: "gateway-unreachable",
  claim: "Clients of a gateway whose network swallows everything go on at another one.",
  topology: PROXIED,
  traffic: MAIN_TRAFFIC,
  durationMs: 8_000,
  faults: [
    { atMs: 1500, fault: { kind: "black-hole", subject: "gateway-1", direction: "both", forMs: 5_000 } },
  ],
  settleWithinMs: 30_000,
  validators: ALL_PROMISES,
  needs: ["network"],
});
