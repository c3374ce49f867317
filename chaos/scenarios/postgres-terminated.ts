import { ALL_PROMISES, PAIR } from "./common.ts";
import { defineScenario } from "../scenario.ts";
import { MAIN_TRAFFIC } from "./traffic.ts";

export const postgresTerminated = defineScenario({
  name: "postgres-terminated",
  claim: "An orderly restart of PostgreSQL interrupts and loses nothing.",
  topology: PAIR,
  traffic: MAIN_TRAFFIC,
  durationMs: 8_000,
  faults: [{ atMs: 2000, fault: { kind: "signal", subject: "postgres", signal: "SIGTERM" } }],
  // As after a crash.
  settleWithinMs: 45_000,
  validators: ALL_PROMISES,
  needs: ["signal", "stores"],
});
