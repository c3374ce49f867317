import { ALL_PROMISES, NATS_AND_S3 } from "./common.ts";
import { defineScenario } from "../scenario.ts";
import { LARGE_BODIES } from "./traffic.ts";

export const s3Paused = defineScenario({
  name: "s3-paused",
  claim: "While object storage hangs, no commit waits for it.",
  topology: NATS_AND_S3,
  traffic: LARGE_BODIES,
  durationMs: 8_000,
  faults: [{ atMs: 1500, fault: { kind: "pause", subject: "s3", forMs: 5_000 } }],
  settleWithinMs: 30_000,
  validators: ALL_PROMISES,
  needs: ["signal", "stores"],
});
