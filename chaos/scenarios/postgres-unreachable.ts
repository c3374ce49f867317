import { ALL_PROMISES, PROXIED } from "./common.ts";
import { defineScenario } from "../scenario.ts";
import { MAIN_TRAFFIC } from "./traffic.ts";

export const postgresUnreachable = defineScenario({
  name: "postgres-unreachable",
  claim: "A network that swallows everything to PostgreSQL is a PostgreSQL that is away.",
  topology: PROXIED,
  traffic: MAIN_TRAFFIC,
  durationMs: 8_000,
  faults: [
    { atMs: 1500, fault: { kind: "black-hole", subject: "postgres", direction: "both", forMs: 5_000 } },
  ],
  // Statements give up after seconds, leases run out.
  settleWithinMs: 60_000,
  validators: ALL_PROMISES,
  needs: ["network"],
});
