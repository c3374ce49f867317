import { ALL_PROMISES, PAIR } from "./common.ts";
import { defineScenario } from "../scenario.ts";
import { QUEUE_MODES } from "./traffic.ts";

export const steeredWorkerKilled = defineScenario({
  name: "steered-worker-killed",
  claim:
    "Messages in every queue mode, into turns with tools whose workers are killed: each is answered once, by itself or with others.",
  topology: PAIR,
  traffic: QUEUE_MODES,
  durationMs: 8_000,
  faults: [
    { atMs: 1500, fault: { kind: "signal", subject: "holder", signal: "SIGKILL" } },
    { atMs: 4500, fault: { kind: "signal", subject: "holder", signal: "SIGKILL" } },
  ],
  settleWithinMs: 30_000,
  validators: ALL_PROMISES,
  needs: ["signal"],
});
