import { mkdir } from "node:fs/promises";
import path from "node:path";
import { execa } from "execa";
import { clearLeftovers, makeRunFolder } from "../../chaos/targets/run-folder.ts";
import type { CriterionResult, Thoroughness } from "../../chaos/acceptance/criterion.ts";
import type { LoadTestResult } from "../../loadtest/result.ts";
import { HAError } from "../../server/core/errors.ts";
import type { DeploymentView } from "../../server/supervisor/view.ts";
import type { CliContext } from "../context.ts";

/** The profile's own time is about a minute and a half; the quick one shortens every stage alike. */
const DURATION: Readonly<Record<Thoroughness, readonly string[]>> = {
  quick: ["--duration", "60s"],
  full: [],
};
/** Above what any command takes on a busy machine. */
const COMMAND_TIMEOUT_MS = 600_000;

/**
 * "10x burst": a deployment that sizes itself, a load that grows tenfold within five seconds, quiet tenants beside it.
 * By the command line, as an operator would do it; nothing of the deployment is left, also when interrupted.
 * @throws HAError as the commands fail, the signal's reason when it aborts
 */
export async function burst(
  context: CliContext,
  how: Thoroughness,
  reportDir: string,
): Promise<CriterionResult> {
  const { env, output, projectRoot, signal } = context;
  await clearLeftovers((text) => output.progress(text));
  const folder = await makeRunFolder();
  const home = path.join(folder.path, "home");
  const run = async (
    args: readonly string[],
    cancelSignal?: AbortSignal,
  ): Promise<{ readonly stdout: string; readonly exitCode: number }> => {
    const ended = await execa(
      path.join(projectRoot, "bin/openclaw-ha"),
      ["--data-dir", path.join(folder.path, "data"), ...args],
      {
        env: { PATH: env["PATH"] ?? "", HOME: home, LANG: "C.UTF-8" },
        extendEnv: false,
        cwd: folder.path,
        reject: false,
        timeout: COMMAND_TIMEOUT_MS,
        stderr: [
          "pipe",
          async function* (line: unknown) {
            output.progress(`burst: ${String(line)}`);
            yield line;
          },
        ],
        ...(cancelSignal === undefined ? {} : { cancelSignal }),
      },
    );
    signal.throwIfAborted();
    return { stdout: ended.stdout, exitCode: ended.exitCode ?? 70 };
  };
  const must = async (args: readonly string[]): Promise<string> => {
    const { exitCode, stdout } = await run(args, signal);
    if (exitCode === 0) return stdout;
    throw new HAError("STORE_UNAVAILABLE", `openclaw-ha ${args[0]} failed with exit code ${exitCode}`, {
      hint: "what it said stands above",
    });
  };
  try {
    await mkdir(home, { mode: 0o700 });
    await mkdir(reportDir, { recursive: true });
    await must(["up", "v2", "--port", "0", "--json"]);
    await must(["scale", "--auto", "on", "--max", "worker=4,gateway=3", "--json"]);
    const { exitCode, stdout } = await run(
      ["loadtest", "burst", ...DURATION[how], "--report", reportDir, "--json"],
      signal,
    );
    const result = exitCode === 0 || exitCode === 1 ? readResult(stdout) : null;
    if (result === null) {
      throw new HAError("INTERNAL", `the load test ended with exit code ${exitCode} and without a result`, {
        hint: "what it said stands above",
      });
    }
    const status = JSON.parse(await must(["status", "--json"])) as DeploymentView;
    return judgeBurst(result, status, reportDir);
  } finally {
    await run(["down", "--purge", "--yes"]).catch(() => undefined);
    await folder.remove();
  }
}

function judgeBurst(result: LoadTestResult, status: DeploymentView, reportDir: string): CriterionResult {
  const missed = result.thresholds
    .filter(({ ok }) => !ok)
    .map(({ actual, name, target, unit }) => `${name}: ${show(actual, unit)}, at most ${show(target, unit)}`);
  const findings = [
    ...(result.errors.unplanned > 0 ? [`${result.errors.unplanned} unplanned errors`] : []),
    ...missed,
    ...(result.messages.sent === result.messages.ended
      ? []
      : [`${result.messages.sent - result.messages.ended} messages had no end`]),
  ];
  const grown = status.instances.filter(({ pool }) => pool === "worker").length;
  return {
    name: "burst",
    criterion:
      "10x burst: no unplanned error, waiting back under its objective after it, quiet tenants wait at most twice as long",
    done: `load tenfold within 5 s on a deployment that sizes itself, quiet tenants beside it (${Math.round(result.seconds)} s)`,
    verdict: findings.length === 0 ? "pass" : "fail",
    measured: {
      requests: result.requests,
      unplanned: result.errors.unplanned,
      overload: result.errors.overload,
      "queue wait p99 ms": result.queueWaitMs.p99,
      "queue wait p99 ms, quiet": result.classes["quiet"]?.queueWaitMs.p99 ?? null,
      "workers at the end": grown,
      ...(result.generator.suspicion === null ? {} : { "read with care": result.generator.suspicion }),
    },
    findings,
    evidence: [reportDir],
  };
}

const show = (value: number | null, unit: "ms" | "share"): string => {
  if (value === null) return "not measured";
  return unit === "ms" ? `${Math.round(value)} ms` : `${(value * 100).toFixed(2)} %`;
};

function readResult(stdout: string): LoadTestResult | null {
  try {
    const document = JSON.parse(stdout) as LoadTestResult | { readonly error: unknown };
    return "verdict" in document ? document : null;
  } catch {
    return null;
  }
}
