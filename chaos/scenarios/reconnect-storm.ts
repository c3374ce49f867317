import { ALL_PROMISES, PAIR } from "./common.ts";
import { defineScenario } from "../scenario.ts";
import { MAIN_TRAFFIC } from "./traffic.ts";

export const reconnectStorm = defineScenario({
  name: "reconnect-storm",
  claim: "Hundreds of clients that come back at once do not keep the others from being served.",
  topology: PAIR,
  traffic: MAIN_TRAFFIC,
  durationMs: 6_000,
  faults: [
    { atMs: 1500, fault: { kind: "reconnect-storm", clients: 150, times: 3 } },
    { atMs: 4500, fault: { kind: "reconnect-storm", clients: 150, times: 3 } },
  ],
  settleWithinMs: 30_000,
  validators: ALL_PROMISES,
  needs: [],
});
