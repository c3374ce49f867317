import type { Scenario } from "../scenario.ts";
import { findScenario } from "../scenarios/index.ts";
import type { Thoroughness } from "./criterion.ts";

/** One kill of each kind of process that `openclaw-ha up` starts. */
const QUICK: readonly string[] = [
  "worker-killed",
  "gateway-killed",
  "control-killed",
  "supervisor-killed",
  "postgres-killed",
  "redis-killed",
];
/** And of those that it can be given, and of whole pools. */
const FULL: readonly string[] = [
  ...QUICK,
  "workers-all-killed",
  "gateways-all-killed",
  "nats-killed",
  "s3-killed",
];

export function killScenarios(how: Thoroughness): Scenario[] {
  return (how === "quick" ? QUICK : FULL).map((name) => {
    const scenario = findScenario(name);
    if (scenario === undefined) throw new Error(`acceptance names ${name}, which is no scenario`);
    return scenario;
  });
}
