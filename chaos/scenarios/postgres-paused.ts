import { ALL_PROMISES, PAIR } from "./common.ts";
import { defineScenario } from "../scenario.ts";
import { MAIN_TRAFFIC } from "./traffic.ts";

export const postgresPaused = defineScenario({
  name: "postgres-paused",
  claim: "While PostgreSQL hangs nothing is acknowledged that does not hold, and all goes on afterwards.",
  topology: PAIR,
  traffic: MAIN_TRAFFIC,
  durationMs: 8_000,
  faults: [{ atMs: 2000, fault: { kind: "pause", subject: "postgres", forMs: 5_000 } }],
  // Workers that could not confirm their leases have given up their runs.
  settleWithinMs: 45_000,
  validators: ALL_PROMISES,
  needs: ["signal", "stores"],
});
