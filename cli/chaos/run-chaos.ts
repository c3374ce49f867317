import path from "node:path";
import { chooseScenarios } from "../../chaos/choose-scenarios.ts";
import { type Cell, cellsOf, FULL_RUNS, matrixScenarios } from "../../chaos/matrix.ts";
import { runChaos } from "../../chaos/run.ts";
import type { ChaosSummary } from "../../chaos/summary.ts";
import { openTarget } from "../../chaos/targets/open.ts";
import type { Target } from "../../chaos/targets/target.ts";
import { HAError } from "../../server/core/errors.ts";
import type { ChaosRunFlags } from "../commands/chaos.ts";
import type { CliContext } from "../context.ts";

const DEFAULT_SEED = 1;

/**
 * `chaos run`: from flags to a verdict.
 * @throws HAError REQUEST_INVALID (2) for unknown names; NOT_RUNNING (69) for a deployment that is not healthy
 */
export async function runChaosCommand(
  context: CliContext,
  names: readonly string[],
  flags: ChaosRunFlags,
): Promise<ChaosSummary> {
  const { clock, cwd, env, output, projectRoot, random, signal } = context;
  if (flags.matrix !== undefined && names.length > 0) {
    throw new HAError("REQUEST_INVALID", "--matrix names its own scenarios", {
      hint: "leave the names out, or leave --matrix out",
    });
  }
  const scenarios = flags.matrix === undefined ? chooseScenarios(names) : matrixScenarios(flags.matrix);
  const runs = flags.runs ?? (flags.matrix === "full" ? FULL_RUNS : 1);
  const seed = flags.seed ?? DEFAULT_SEED;
  const reportDir = flags.report === undefined ? defaultReportDir(context) : path.resolve(cwd, flags.report);
  const progress = (text: string): void => output.progress(text);
  return runChaos({
    cells: cellsOf(scenarios, runs, seed),
    seed,
    durationMs: flags.duration ?? null,
    reportDir,
    plantedBug: null,
    clock,
    signal,
    progress,
    command: (cell) => commandOf(context, cell, flags),
    openTarget: (scenario) =>
      openTarget(scenario, {
        kind: flags.target,
        dataDir: context.deployment.dataDir,
        projectRoot,
        machine: env,
        env: {},
        clock,
        random,
        signal,
        progress,
      }),
    ...(flags.keep === true ? { beforeClose: (target: Target) => keepUp(context, target) } : {}),
  });
}

/** Beside the deployments' own folders, one for each time. */
function defaultReportDir({ clock, deployment }: CliContext): string {
  const when = new Date(clock.now()).toISOString().slice(0, 19).replaceAll(":", "-");
  return path.join(path.dirname(path.dirname(deployment.dataDir)), "openclaw-ha-chaos", when);
}

function commandOf({ deployment }: CliContext, { scenario, seed }: Cell, flags: ChaosRunFlags): string {
  const attached = flags.target === "attach" ? [`--data-dir ${deployment.dataDir}`] : [];
  const target = flags.target === "process" ? [] : [`--target ${flags.target}`];
  const duration = flags.duration === undefined ? [] : [`--duration ${flags.duration}ms`];
  return [
    "openclaw-ha",
    ...attached,
    "chaos run",
    scenario.name,
    `--seed ${seed}`,
    ...duration,
    ...target,
  ].join(" ");
}

/** Tells where the deployment is, and waits for Ctrl-C. */
async function keepUp({ output, signal }: CliContext, target: Target): Promise<void> {
  for (const { id, url } of await target.gateways()) output.progress(`${id} at ${url}`);
  output.progress("the deployment stays up: Ctrl-C takes it down");
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
