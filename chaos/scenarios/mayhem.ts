import { ALL_PROMISES, PAIR } from "./common.ts";
import { defineScenario } from "../scenario.ts";
import { MAIN_TRAFFIC } from "./traffic.ts";

export const mayhem = defineScenario({
  name: "mayhem",
  claim: "Several things going wrong at once are no more than each of them.",
  topology: PAIR,
  traffic: MAIN_TRAFFIC,
  durationMs: 11_000,
  faults: [
    { atMs: 1000, fault: { kind: "signal", subject: "any-gateway", signal: "SIGKILL" } },
    { atMs: 1500, fault: { kind: "flush", subject: "redis" } },
    { atMs: 2000, fault: { kind: "signal", subject: "holder", signal: "SIGKILL" } },
    { atMs: 3500, fault: { kind: "signal", subject: "redis", signal: "SIGKILL" } },
    { atMs: 4500, fault: { kind: "signal", subject: "control-1", signal: "SIGKILL" } },
    { atMs: 6000, fault: { kind: "signal", subject: "postgres", signal: "SIGKILL" } },
    { atMs: 7000, fault: { kind: "signal", subject: "any-worker", signal: "SIGKILL" } },
  ],
  // Recovery of PostgreSQL, then what every other fault has left.
  settleWithinMs: 60_000,
  validators: ALL_PROMISES,
  needs: ["signal", "stores"],
});
