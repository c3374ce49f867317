import { ALL_PROMISES, PAIR } from "./common.ts";
import { defineScenario } from "../scenario.ts";
import { LARGE_MESSAGES } from "./traffic.ts";

export const diskFull = defineScenario({
  name: "disk-full",
  claim:
    "On a full disk sends are refused as retryable and nothing of them is kept; with room again all goes on.",
  topology: PAIR,
  traffic: LARGE_MESSAGES,
  durationMs: 8_000,
  faults: [{ atMs: 2000, fault: { kind: "disk-full", subject: "postgres", forMs: 4_000 } }],
  // PostgreSQL may have ended and recover.
  settleWithinMs: 60_000,
  validators: [...ALL_PROMISES, "honest-degradation"],
  needs: ["disk-full"],
});
