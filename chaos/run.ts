import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { asHAError, HAError } from "../server/core/errors.ts";
import type { Clock } from "../server/ports/clock.ts";
import { judge } from "./judge.ts";
import { type Cell, deploymentOf } from "./matrix.ts";
import { recordRun } from "./record-run.ts";
import { indexReport } from "./report/index-report.ts";
import { runReport } from "./report/run-report.ts";
import type { RunResult } from "./result.ts";
import type { Scenario } from "./scenario.ts";
import { type ChaosSummary, summarize } from "./summary.ts";
import type { Target } from "./targets/target.ts";

export interface ChaosOptions {
  readonly cells: readonly Cell[];
  /** The first seed, for the summary. */
  readonly seed: number;
  readonly durationMs: number | null;
  /** Gets a folder for each run, `report.html` over all of them, and `verdict.json`. */
  readonly reportDir: string;
  /** A deployment for scenarios like this one; called again when one has not come back. */
  openTarget(scenario: Scenario): Promise<Target>;
  /** What to type to run it again. */
  command(cell: Cell): string;
  readonly plantedBug: string | null;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly progress: (text: string) => void;
  /** Called with the last deployment when everything was run, before it is taken down. */
  readonly beforeClose?: (target: Target) => Promise<void>;
}

/**
 * Runs the cells one after the other; those next to each other that can share a deployment do.
 * @throws HAError NOT_RUNNING when a deployment is not healthy before anything is broken
 * @throws AbortError when interrupted; nothing that was started is left then
 */
export async function runChaos(options: ChaosOptions): Promise<ChaosSummary> {
  const { cells, reportDir, signal } = options;
  await mkdir(reportDir, { recursive: true });
  const results: RunResult[] = [];
  let open: { readonly target: Target; readonly key: string } | null = null;
  const close = async (): Promise<void> => {
    const closing = open;
    open = null;
    await closing?.target.close();
  };
  try {
    for (const [n, cell] of cells.entries()) {
      signal.throwIfAborted();
      const key = deploymentOf(cell.scenario);
      if (open !== null && open.key !== key) await close();
      open ??= { target: await options.openTarget(cell.scenario), key };
      options.progress(`[${n + 1}/${cells.length}] ${cell.scenario.name}: ${cell.scenario.claim}`);
      const result = await runCell(options, open.target, cell);
      results.push(result);
      options.progress(resultLine(result));
      // What has not come back is not worth breaking again.
      if (result.judged === null && result.verdict === "fail") await close();
    }
    if (open !== null) await options.beforeClose?.(open.target);
  } finally {
    await close();
  }
  const summary = summarize(results, options.seed, join(reportDir, "report.html"));
  await writeFile(join(reportDir, "verdict.json"), `${JSON.stringify(summary, null, 2)}\n`);
  await writeFile(join(reportDir, "report.html"), indexReport(summary, results));
  return summary;
}

async function runCell(options: ChaosOptions, target: Target, cell: Cell): Promise<RunResult> {
  const { clock, reportDir, signal } = options;
  const { scenario, seed } = cell;
  const startedAt = clock.monotonic();
  const result = (more: Pick<RunResult, "verdict" | "judged" | "reason" | "dir">): RunResult => ({
    scenario: scenario.name,
    claim: scenario.claim,
    seed,
    tookMs: Math.round(clock.monotonic() - startedAt),
    ...more,
  });
  const missing = scenario.needs.filter((need) => !target.capabilities.has(need));
  if (missing.length > 0) {
    const reason = `the ${target.kind} target cannot do: ${missing.join(", ")}`;
    return result({ verdict: "skipped", judged: null, reason, dir: null });
  }
  const dir = await freshFolder(join(reportDir, `${scenario.name}-${seed}`));
  try {
    const evidence = await recordRun({
      scenario,
      target,
      seed,
      dir,
      durationMs: options.durationMs,
      command: options.command(cell),
      plantedBug: options.plantedBug,
      clock,
      signal,
      progress: options.progress,
    });
    const judged = judge(evidence, scenario);
    await writeFile(join(dir, "stores.json"), JSON.stringify(evidence.stores));
    await writeFile(join(dir, "verdict.json"), `${JSON.stringify(judged, null, 2)}\n`);
    await writeFile(join(dir, "report.html"), runReport(evidence, judged));
    return result({ verdict: judged.verdict, judged, reason: null, dir });
  } catch (thrown) {
    signal.throwIfAborted();
    const error = asHAError(thrown);
    // A sick patient proves nothing, and nothing that follows would.
    if (error.code === "NOT_RUNNING") throw error;
    return result({ verdict: "fail", judged: null, reason: error.message, dir });
  }
}

/** A run of the same name that is there already keeps its folder. */
async function freshFolder(wanted: string): Promise<string> {
  for (let n = 1; ; n++) {
    const dir = n === 1 ? wanted : `${wanted}.${n}`;
    try {
      await mkdir(dir);
      return dir;
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code !== "EEXIST") throw new HAError("CONFIG_INVALID", `cannot write ${dir}`, {}, { cause: error });
    }
  }
}

function resultLine({ judged, reason, scenario, tookMs, verdict }: RunResult): string {
  const took = `${(tookMs / 1_000).toFixed(1)} s`;
  if (judged === null) return `${scenario}: ${verdict}: ${reason ?? ""} (${took})`;
  const broken = judged.promises.filter((promise) => promise.verdict !== "pass");
  const what = broken.map((promise) => {
    const [violation] = promise.violations;
    return `${promise.name} ${promise.verdict === "fail" ? "broken" : "unproven"}: ${violation?.what ?? promise.unproven[0] ?? ""}`;
  });
  const gaps = judged.gaps.map(({ fault, maxMs }) => `${fault} ${maxMs === null ? "-" : `${maxMs} ms`}`);
  return [
    `${scenario}: ${verdict}, ${judged.runs} runs in ${took}${gaps.length > 0 ? `; longest pause: ${gaps.join(", ")}` : ""}`,
    ...what,
  ].join("\n  ");
}
