import { ALL_PROMISES, NATS_AND_S3 } from "./common.ts";
import { defineScenario } from "../scenario.ts";
import { LARGE_BODIES } from "./traffic.ts";

export const s3Killed = defineScenario({
  name: "s3-killed",
  claim: "A crash of object storage keeps nobody from being answered; large bodies move later.",
  topology: NATS_AND_S3,
  traffic: LARGE_BODIES,
  durationMs: 7_000,
  faults: [
    { atMs: 1500, fault: { kind: "signal", subject: "s3", signal: "SIGKILL" } },
    { atMs: 4000, fault: { kind: "signal", subject: "s3", signal: "SIGKILL" } },
  ],
  settleWithinMs: 30_000,
  validators: ALL_PROMISES,
  needs: ["signal", "stores"],
});
