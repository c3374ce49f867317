import { ALL_PROMISES, PAIR } from "./common.ts";
import { defineScenario } from "../scenario.ts";
import { SUBAGENTS } from "./traffic.ts";

export const subagentWorkersKilled = defineScenario({
  name: "subagent-workers-killed",
  claim:
    "A subagent whose worker is killed, or its parent's, or both, is spawned once, and its end is announced once.",
  topology: PAIR,
  traffic: SUBAGENTS,
  durationMs: 7_000,
  faults: [
    { atMs: 1500, fault: { kind: "signal", subject: "holder", signal: "SIGKILL" } },
    { atMs: 4500, fault: { kind: "signal", subject: "workers", signal: "SIGKILL" } },
  ],
  settleWithinMs: 30_000,
  validators: ALL_PROMISES,
  needs: ["signal"],
});
