import { ALL_PROMISES, PAIR } from "./common.ts";
import { defineScenario } from "../scenario.ts";
import { MAIN_TRAFFIC } from "./traffic.ts";

export const postgresKilled = defineScenario({
  name: "postgres-killed",
  claim: "A crash of PostgreSQL loses nothing that was acknowledged; clients retry, and all is answered.",
  topology: PAIR,
  traffic: MAIN_TRAFFIC,
  durationMs: 8_000,
  faults: [{ atMs: 2000, fault: { kind: "signal", subject: "postgres", signal: "SIGKILL" } }],
  // Recovery, then the time to live of leases whose workers could not confirm them.
  settleWithinMs: 45_000,
  validators: ALL_PROMISES,
  needs: ["signal", "stores"],
});
