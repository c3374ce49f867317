import { ALL_PROMISES, PAIR } from "./common.ts";
import { defineScenario } from "../scenario.ts";
import { CRON_JOBS } from "./traffic.ts";

export const cronLeaderKilled = defineScenario({
  name: "cron-leader-killed",
  claim: "Cron jobs that fall due while whoever fires them is killed, again and again, run once each.",
  topology: PAIR,
  traffic: CRON_JOBS,
  durationMs: 7_000,
  faults: [
    { atMs: 1500, fault: { kind: "signal", subject: "control-1", signal: "SIGKILL" } },
    { atMs: 5000, fault: { kind: "signal", subject: "control-1", signal: "SIGKILL" } },
  ],
  // The next leader has to wait for the last one's term to be over.
  settleWithinMs: 30_000,
  validators: ALL_PROMISES,
  needs: ["signal"],
});
