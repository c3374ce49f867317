import { installK6, type Machine, requireK6 } from "../../loadtest/k6-program.ts";
import { findProfile, scaled, tenantsOf } from "../../loadtest/plan.ts";
import type { LoadTestResult } from "../../loadtest/result.ts";
import { runLoadTest } from "../../loadtest/run.ts";
import { programFinder } from "../../server/wiring-programs.ts";
import type { CliContext } from "../context.ts";
import { shellQuote } from "../commands/env.ts";
import { preflight } from "./preflight.ts";
import { reportPlace } from "./report-place.ts";
import { resultText } from "./result-text.ts";
import { findTarget } from "./target.ts";

export interface LoadTestFlags {
  readonly duration?: number;
  readonly rate?: number;
  readonly vus?: number;
  readonly report?: string;
  readonly baseline?: string;
  readonly url?: string;
  readonly tokenFile?: string;
  readonly install?: boolean;
}

/**
 * One load test from the command line to its answer. Everything that can be told wrong beforehand is told before the
 * load begins.
 * @throws HAError REQUEST_INVALID (2), MISSING_DEPENDENCY and NOT_RUNNING (69), UNAUTHORIZED and CONFIG_INVALID (78)
 */
export async function loadTest(context: CliContext, name: string, flags: LoadTestFlags): Promise<void> {
  const { env, output, signal } = context;
  const progress = (text: string): void => output.progress(text);
  const profile = scaled(findProfile(name), {
    durationMs: flags.duration,
    rate: flags.rate,
    clients: flags.vus,
  });
  const k6 = await findK6(context, flags.install === true);
  const place = await reportPlace(context, profile.name, flags);
  const target = await findTarget(context, tenantsOf(profile), flags);
  for (const tenant of target.tenants) await preflight(context, tenant);
  const result = await runLoadTest({
    profile,
    target,
    k6,
    env,
    reportDir: place.directory,
    baseline: place.baseline,
    command: commandOf(context, name, flags),
    progress,
    warning: (text) => output.warning(text),
    signal,
  });
  if (result.verdict === "fail") context.setExitCode(1);
  output.result(result, resultText);
  tellMissed(context, result);
}

/** @throws HAError MISSING_DEPENDENCY with the one command that installs it */
export function findK6(context: CliContext, install: boolean): Promise<string> | string {
  const { env, output, projectRoot, signal } = context;
  const find = programFinder({ packageRoot: projectRoot, env });
  const machine: Machine = { packageRoot: projectRoot, env, find };
  return install ? installK6(machine, (text) => output.progress(text), signal) : requireK6(machine);
}

/** With --json too: the names of what was missed are for whoever reads the log of a pipeline. */
function tellMissed({ output }: CliContext, { thresholds, generator }: LoadTestResult): void {
  const missed = thresholds.filter(({ ok }) => !ok).map(({ name }) => name);
  if (missed.length > 0) output.warning(`missed: ${missed.join("; ")}`);
  if (generator.suspicion !== null) {
    output.warning(`read the times with care: ${generator.suspicion}`);
  }
}

/** What to type for the same run. */
function commandOf({ deployment }: CliContext, name: string, flags: LoadTestFlags): string {
  const words = ["openclaw-ha"];
  if (flags.url === undefined && deployment.name !== "default") words.push("--name", deployment.name);
  words.push("loadtest", name);
  if (flags.duration !== undefined) words.push("--duration", `${flags.duration / 1_000}s`);
  if (flags.rate !== undefined) words.push("--rate", String(flags.rate));
  if (flags.vus !== undefined) words.push("--vus", String(flags.vus));
  if (flags.url !== undefined) words.push("--url", flags.url);
  if (flags.tokenFile !== undefined) words.push("--token-file", flags.tokenFile);
  return words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : shellQuote(word))).join(" ");
}
