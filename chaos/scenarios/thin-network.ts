import { ALL_PROMISES, PROXIED } from "./common.ts";
import { defineScenario } from "../scenario.ts";
import { MAIN_TRAFFIC } from "./traffic.ts";

export const thinNetwork = defineScenario({
  name: "thin-network",
  claim: "Over a line of a few kilobytes a second clients get their events late, and all of them.",
  topology: PROXIED,
  traffic: MAIN_TRAFFIC,
  durationMs: 6_000,
  faults: [
    { atMs: 1000, fault: { kind: "rate", subject: "gateway-1", bytesPerSecond: 6_000, forMs: 5_000 } },
    { atMs: 1000, fault: { kind: "rate", subject: "redis", bytesPerSecond: 30_000, forMs: 5_000 } },
  ],
  // What has piled up has to pass.
  settleWithinMs: 45_000,
  validators: ALL_PROMISES,
  needs: ["network"],
});
