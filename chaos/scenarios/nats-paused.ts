import { ALL_PROMISES, NATS_AND_S3 } from "./common.ts";
import { defineScenario } from "../scenario.ts";
import { MAIN_TRAFFIC } from "./traffic.ts";

export const natsPaused = defineScenario({
  name: "nats-paused",
  claim: "While NATS hangs, live events wait and finals arrive.",
  topology: NATS_AND_S3,
  traffic: MAIN_TRAFFIC,
  durationMs: 8_000,
  faults: [{ atMs: 1500, fault: { kind: "pause", subject: "nats", forMs: 4_000 } }],
  settleWithinMs: 30_000,
  validators: ALL_PROMISES,
  needs: ["signal", "stores"],
});
