import { ALL_PROMISES, PROXIED } from "./common.ts";
import { defineScenario } from "../scenario.ts";
import { MAIN_TRAFFIC } from "./traffic.ts";

export const postgresDeaf = defineScenario({
  name: "postgres-deaf",
  claim: "Statements that arrive and whose answers do not are resolved by looking, not by guessing.",
  topology: PROXIED,
  traffic: MAIN_TRAFFIC,
  durationMs: 8_000,
  faults: [
    { atMs: 1500, fault: { kind: "black-hole", subject: "postgres", direction: "answers", forMs: 4_000 } },
  ],
  // As above.
  settleWithinMs: 60_000,
  validators: ALL_PROMISES,
  needs: ["network"],
});
