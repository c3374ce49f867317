import type { Scenario } from "./scenario.ts";
import { NATS_AND_S3 } from "./scenarios/common.ts";
import { findScenario, SCENARIOS } from "./scenarios/index.ts";

/** One run to make. */
export interface Cell {
  readonly scenario: Scenario;
  readonly seed: number;
}

export type MatrixName = "short" | "full";

/** Runs of each cell of the full matrix. */
export const FULL_RUNS = 20;

/**
 * Every fault of a process, and a flushed Redis, under the main traffic; queue modes, subagents and cron jobs each with
 * the fault that could cost them most: what continuous integration runs.
 */
const SHORT: readonly string[] = [
  "worker-killed",
  "worker-terminated",
  "worker-hiccup",
  "worker-paused",
  "workers-all-killed",
  "steered-worker-killed",
  "subagent-workers-killed",
  "gateway-killed",
  "gateway-terminated",
  "gateway-paused",
  "gateways-all-killed",
  "control-killed",
  "control-paused",
  "cron-leader-killed",
  "supervisor-killed",
  "supervisor-paused",
  "postgres-killed",
  "postgres-terminated",
  "postgres-paused",
  "redis-killed",
  "redis-paused",
  "redis-flushed",
  "nats-killed",
  "nats-paused",
  "s3-killed",
  "s3-paused",
];

/** Those that are also run where events go over NATS and objects lie in S3. */
const ON_NATS_AND_S3: readonly string[] = [
  "worker-killed",
  "worker-paused",
  "gateway-killed",
  "gateways-all-killed",
  "redis-killed",
  "redis-flushed",
  "rolling-restart-workers",
  "quarrelsome-clients",
];

const named = (names: readonly string[]): Scenario[] =>
  names.map((name) => {
    const scenario = findScenario(name);
    if (scenario === undefined) throw new Error(`the matrix names ${name}, which is no scenario`);
    return scenario;
  });

/** Scenarios of a matrix; the same one may stand there with another topology. */
export function matrixScenarios(name: MatrixName): Scenario[] {
  if (name === "short") return named(SHORT);
  return [...SCENARIOS, ...named(ON_NATS_AND_S3).map((scenario) => ({ ...scenario, topology: NATS_AND_S3 }))];
}

/**
 * The runs to make, those of one deployment next to each other. Seeds count up from the first, the same for every
 * scenario, so that a failure names everything that is needed to see it again.
 */
export function cellsOf(scenarios: readonly Scenario[], runs: number, seed: number): Cell[] {
  const groups = Map.groupBy(scenarios, deploymentOf);
  return [...groups.values()].flatMap((group) =>
    group.flatMap((scenario) =>
      Array.from({ length: runs }, (_, run): Cell => ({ scenario, seed: seed + run })),
    ),
  );
}

/** Scenarios with the same answer can share a deployment. */
export function deploymentOf({ needs, topology }: Scenario): string {
  const { bus, gateways, objects, wiring, workers } = topology;
  const prepared = needs.filter((need) => need === "disk-full" || need === "clock-skew");
  return [gateways, workers, wiring, bus, objects, ...prepared].join(" ");
}
