import type { TrafficSpec } from "../scenario.ts";

/** Nothing beside plain sends. */
export const QUIET: TrafficSpec["mix"] = {
  duplicates: 0,
  conflicts: 0,
  aborts: 0,
  interrupts: 0,
  histories: 0,
  followers: 0,
  lostAnswers: 0,
  reordered: 0,
};

/** Two of each; the rest as small as it gets. */
export const SMALL = {
  gateways: 2,
  workers: 2,
  wiring: "embedded",
  bus: "redis",
  objects: "directory",
} as const;
