import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { availabilityScenario } from "../../chaos/acceptance/availability.ts";
import type { CriterionResult, Thoroughness } from "../../chaos/acceptance/criterion.ts";
import { crossTalkScenario } from "../../chaos/acceptance/cross-talk.ts";
import { judgeAvailability, judgeCrossTalk, judgeKills } from "../../chaos/acceptance/judge.ts";
import { killScenarios } from "../../chaos/acceptance/kills.ts";
import { acceptanceReport } from "../../chaos/acceptance/report.ts";
import { cellsOf } from "../../chaos/matrix.ts";
import { runChaos } from "../../chaos/run.ts";
import type { Scenario } from "../../chaos/scenario.ts";
import type { ChaosSummary, ScenarioSummary } from "../../chaos/summary.ts";
import { openTarget } from "../../chaos/targets/open.ts";
import { HAError } from "../../server/core/errors.ts";
import type { CliContext } from "../context.ts";
import { findK6 } from "../loadtest/load-test.ts";
import { burst } from "./burst.ts";

export const CRITERIA = ["availability", "cross-talk", "burst", "kills"] as const;
export type CriterionName = (typeof CRITERIA)[number];

export interface AcceptFlags {
  readonly quick?: boolean;
  readonly only?: readonly CriterionName[];
  readonly seed?: number;
  readonly report?: string;
  readonly install?: boolean;
}

/** The document of `accept --json`: that of `chaos run`, and the criteria. */
export interface Acceptance extends ChaosSummary {
  readonly criteria: readonly CriterionResult[];
}

/**
 * Tries the customer's acceptance criteria on deployments that are brought up for it.
 * @throws HAError MISSING_DEPENDENCY without k6, before anything is started; NOT_RUNNING for a deployment that is sick
 *   before anything is broken
 * @throws the signal's reason when it aborts; nothing that was started is left then
 */
export async function runAccept(context: CliContext, flags: AcceptFlags): Promise<Acceptance> {
  const { clock, cwd, env, output, projectRoot, random, signal } = context;
  const how: Thoroughness = flags.quick === true ? "quick" : "full";
  const wanted = new Set<CriterionName>(flags.only ?? CRITERIA);
  const seed = flags.seed ?? 1;
  const reportDir = flags.report === undefined ? defaultReportDir(context) : path.resolve(cwd, flags.report);
  if (wanted.has("burst")) await findK6(context, flags.install === true);
  await mkdir(reportDir, { recursive: true }).catch((cause: unknown) => {
    throw new HAError(
      "CONFIG_INVALID",
      `cannot write ${reportDir}`,
      { hint: "give another --report" },
      { cause },
    );
  });
  const progress = (text: string): void => output.progress(text);
  const scenarios: Scenario[] = [
    ...(wanted.has("availability") ? [availabilityScenario(how)] : []),
    ...(wanted.has("cross-talk") ? [crossTalkScenario(how)] : []),
    ...(wanted.has("kills") ? killScenarios(how) : []),
  ];
  const command = ["openclaw-ha accept", ...(how === "quick" ? ["--quick"] : []), `--seed ${seed}`].join(" ");
  const summary = await runChaos({
    cells: cellsOf(scenarios, 1, seed),
    seed,
    durationMs: null,
    reportDir,
    plantedBug: null,
    clock,
    signal,
    progress,
    command: ({ scenario }) => `${command} --only ${criterionOf(scenario.name)}`,
    openTarget: (scenario) =>
      openTarget(scenario, {
        kind: "process",
        dataDir: context.deployment.dataDir,
        projectRoot,
        machine: env,
        env: {},
        clock,
        random,
        signal,
        progress,
      }),
  });
  const results: CriterionResult[] = [];
  for (const name of CRITERIA.filter((one) => wanted.has(one))) {
    const runs = summary.scenarios.filter((run) => criterionOf(run.name) === name);
    results.push(
      name === "burst" ? await burst(context, how, path.join(reportDir, "burst")) : judgeRuns(name, runs),
    );
  }
  const verdict = results.every((one) => one.verdict === "pass") ? "pass" : "fail";
  const report = path.join(reportDir, "acceptance.html");
  const acceptance: Acceptance = { ...summary, verdict, criteria: results, report };
  const relative = (file: string): string => path.relative(reportDir, file);
  await writeFile(report, acceptanceReport(verdict, results, { command, relative }));
  await writeFile(path.join(reportDir, "acceptance.json"), `${JSON.stringify(acceptance, null, 2)}\n`);
  return acceptance;
}

function judgeRuns(name: Exclude<CriterionName, "burst">, runs: readonly ScenarioSummary[]): CriterionResult {
  if (name === "kills") return judgeKills(runs);
  const [run] = runs;
  if (run === undefined) throw new HAError("INTERNAL", `criterion ${name} was not run`);
  return name === "availability" ? judgeAvailability(run) : judgeCrossTalk(run);
}

/** Which criterion a scenario belongs to. */
function criterionOf(scenario: string): CriterionName {
  if (scenario === "accept-availability") return "availability";
  return scenario === "accept-cross-talk" ? "cross-talk" : "kills";
}

function defaultReportDir({ clock, deployment }: CliContext): string {
  const when = new Date(clock.now()).toISOString().slice(0, 19).replaceAll(":", "-");
  return path.join(path.dirname(path.dirname(deployment.dataDir)), "openclaw-ha-accept", when);
}
