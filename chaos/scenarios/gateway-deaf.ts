import { ALL_PROMISES, PROXIED } from "./common.ts";
import { defineScenario } from "../scenario.ts";
import { MAIN_TRAFFIC } from "./traffic.ts";

export const gatewayDeaf = defineScenario({
  name: "gateway-deaf",
  claim: "A client whose sends arrive and whose answers do not repeats them elsewhere, and they count once.",
  topology: PROXIED,
  traffic: MAIN_TRAFFIC,
  durationMs: 8_000,
  faults: [
    { atMs: 1500, fault: { kind: "black-hole", subject: "gateway-1", direction: "answers", forMs: 4_500 } },
    { atMs: 1500, fault: { kind: "black-hole", subject: "gateway-2", direction: "requests", forMs: 1_000 } },
  ],
  settleWithinMs: 30_000,
  validators: ALL_PROMISES,
  needs: ["network"],
});
