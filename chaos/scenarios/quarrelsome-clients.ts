import { ALL_PROMISES, PAIR } from "./common.ts";
import { defineScenario } from "../scenario.ts";
import { QUARRELSOME } from "./traffic.ts";

export const quarrelsomeClients = defineScenario({
  name: "quarrelsome-clients",
  claim: "Requests that come twice, out of order, under used keys, or whose answers are lost change nothing.",
  topology: PAIR,
  traffic: QUARRELSOME,
  durationMs: 8_000,
  faults: [],
  settleWithinMs: 30_000,
  validators: ALL_PROMISES,
  needs: [],
});
