import { ALL_PROMISES, NATS_AND_S3 } from "./common.ts";
import { defineScenario } from "../scenario.ts";
import { MAIN_TRAFFIC } from "./traffic.ts";

export const natsKilled = defineScenario({
  name: "nats-killed",
  claim: "A crash of NATS costs live events only: finals arrive, and clients catch up.",
  topology: NATS_AND_S3,
  traffic: MAIN_TRAFFIC,
  durationMs: 7_000,
  faults: [
    { atMs: 1500, fault: { kind: "signal", subject: "nats", signal: "SIGKILL" } },
    { atMs: 4000, fault: { kind: "signal", subject: "nats", signal: "SIGKILL" } },
  ],
  settleWithinMs: 30_000,
  validators: ALL_PROMISES,
  needs: ["signal", "stores"],
});
