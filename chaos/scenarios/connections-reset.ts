import { ALL_PROMISES, PROXIED } from "./common.ts";
import { defineScenario } from "../scenario.ts";
import { MAIN_TRAFFIC } from "./traffic.ts";

export const connectionsReset = defineScenario({
  name: "connections-reset",
  claim: "Connections that are reset again and again are made again, and nothing is lost with them.",
  topology: PROXIED,
  traffic: MAIN_TRAFFIC,
  durationMs: 6_000,
  faults: [
    { atMs: 1500, fault: { kind: "reset", subject: "postgres", times: 4, everyMs: 900 } },
    { atMs: 1800, fault: { kind: "reset", subject: "redis", times: 4, everyMs: 900 } },
    { atMs: 2100, fault: { kind: "reset", subject: "gateway-1", times: 4, everyMs: 900 } },
  ],
  // A worker whose lock connection broke has time to take it again.
  settleWithinMs: 45_000,
  validators: ALL_PROMISES,
  needs: ["network"],
});
