import type { Scenario } from "../scenario.ts";
import type { PromiseName } from "../validators/validator.ts";

/** Two gateways, two workers, stores run by the supervisor: what `openclaw-ha up` gives. */
export const PAIR: Scenario["topology"] = {
  gateways: 2,
  workers: 2,
  wiring: "embedded",
  bus: "redis",
  objects: "directory",
};

/** The same with every store and gateway behind a proxy. */
export const PROXIED: Scenario["topology"] = { ...PAIR, wiring: "proxied" };

/** The same with events over NATS and objects in S3. */
export const NATS_AND_S3: Scenario["topology"] = { ...PROXIED, bus: "nats", objects: "s3" };

/** What holds whatever is broken. The others need something special to be proven: a tool call, a refusal. */
export const ALL_PROMISES: readonly PromiseName[] = [
  "exclusive",
  "no-lost-ack",
  "idempotent",
  "fifo",
  "resumable",
  "isolated",
];
