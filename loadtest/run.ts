import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, rmdir, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { HAError } from "../server/core/errors.ts";
import { watchCpu } from "./cpu-watch.ts";
import { modelMs, type Plan, type PlannedTenant } from "./k6/lib/plan.ts";
import { runK6 } from "./k6-process.ts";
import { generatorFigures } from "./generator-figures.ts";
import { findLimit } from "./limit.ts";
import { loadSeconds, planOf } from "./plan.ts";
import type { Profile } from "./profiles.ts";
import { watchProgress } from "./progress.ts";
import { type Baseline, KEPT_FORMAT, type KeptRun, type LoadTestResult } from "./result.ts";
import { loadReport } from "./load-report.ts";
import { parseSample, Samples } from "./samples.ts";
import { seriesOf } from "./series.ts";
import { countOf, judge, type K6Summary, parseSummary, percentilesOf } from "./verdict.ts";

/** What is loaded. */
export interface LoadTarget {
  /** For people: a deployment's name, or an address. */
  readonly description: string;
  readonly tenants: readonly PlannedTenant[];
  /** Of the HTTP probes; null where there is none. */
  readonly httpUrl: string | null;
  /** Processes that stand for the deployment and its descendants; null where it is not on this machine. */
  readonly processes: readonly number[] | null;
}

export interface LoadTest {
  readonly profile: Profile;
  readonly target: LoadTarget;
  readonly k6: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Made if it is not there; gets report.html and result.json. */
  readonly reportDir: string;
  readonly baseline: Baseline | null;
  readonly command: string;
  readonly progress: (text: string) => void;
  readonly warning: (text: string) => void;
  readonly signal: AbortSignal;
}

/**
 * Runs one load to its end and writes its report.
 * @throws HAError INTERNAL when k6 failed or its scripts did not come to their end: that is no verdict
 * @throws the signal's reason when it aborts; nothing is left running, and no report is written
 */
export async function runLoadTest(test: LoadTest): Promise<LoadTestResult> {
  const { profile, reportDir, target } = test;
  const startedAt = new Date().toISOString();
  // Before the load, because a report that cannot be written should be told then.
  const made = await mkdir(reportDir, { recursive: true });
  // The plan holds tokens, the summary figures only: neither outlives the run, and nobody else may read them.
  const folder = await mkdtemp(path.join(tmpdir(), "openclaw-ha-loadtest-"));
  try {
    const summaryFile = path.join(folder, "summary.json");
    const seed = randomBytes(4).toString("hex");
    const plan = planOf(profile, target.tenants, { seed, probeUrl: target.httpUrl, summaryFile });
    const measured = await measure(test, plan, folder);
    const result = resultOf(test, plan, measured, startedAt);
    const groups = plan.groups.map(({ name }) => name);
    const series = seriesOf(measured.samples, groups, measured.cpu?.series ?? null);
    const kept: KeptRun = { format: KEPT_FORMAT, result, series };
    await writeFile(path.join(reportDir, "result.json"), JSON.stringify(kept));
    await writeFile(result.report, loadReport({ profile, result, series, baseline: test.baseline }));
    return result;
  } catch (error) {
    // What is in it already is somebody else's, and rmdir refuses.
    if (made !== undefined) await rmdir(reportDir).catch(() => undefined);
    throw error;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

interface Measured {
  readonly summary: K6Summary;
  readonly samples: Samples;
  readonly cpu: ReturnType<ReturnType<typeof watchCpu>["end"]>;
}

async function measure(test: LoadTest, plan: Plan, folder: string): Promise<Measured> {
  const { env, k6, progress, signal, target } = test;
  const planFile = path.join(folder, "plan.json");
  await writeFile(planFile, JSON.stringify(plan), { mode: 0o600 });
  const samples = new Samples();
  const watch = watchCpu(target.processes);
  const live = watchProgress({ plan, samples, progress });
  let begun = false;
  let loading = false;
  try {
    const { exitCode, complaints } = await runK6({
      program: k6,
      planFile,
      env,
      signal,
      onStart: (pid) => watch.generator(pid),
      onLine(line) {
        const sample = parseSample(line);
        if (sample === null) return;
        samples.add(sample);
        // All VUs have read the plan before the first one does anything: should we be killed, no token is left.
        if (!begun) void unlink(planFile).catch(() => undefined);
        begun = true;
        if (!loading && sample.metric === "sent") {
          loading = true;
          watch.begin();
        }
      },
    });
    const text = await readFile(plan.summaryFile, "utf8").catch(() => null);
    if (exitCode !== 0 || text === null) throw k6Failed(exitCode, text, complaints);
    const summary = parseSummary(text);
    const expected = plan.groups.reduce((sum, { clients }) => sum + clients, 0);
    const ended = countOf(summary, "clients");
    // A script that throws ends its VU and nothing else: k6 itself calls that a success.
    if (ended < expected) throw clientsMissing(ended, expected, complaints);
    for (const complaint of complaints) test.warning(`k6: ${complaint}`);
    return { summary, samples, cpu: watch.end() };
  } finally {
    live.stop();
    watch.end();
  }
}

const k6Failed = (exitCode: number, summary: string | null, complaints: readonly string[]): HAError =>
  new HAError(
    "INTERNAL",
    `k6 ended with exit code ${exitCode}${summary === null ? " and without a summary" : ""}: there is no result`,
    { log: complaints, hint: complaints[0] ?? "run it again; k6 said nothing about why" },
  );

const clientsMissing = (ended: number, expected: number, complaints: readonly string[]): HAError =>
  new HAError("INTERNAL", `${expected - ended} of ${expected} clients did not come to their end: no result`, {
    log: complaints,
    hint: complaints[0] ?? "the machine may be too busy for them: try fewer --vus",
  });

function resultOf(
  { command, profile, reportDir, target }: LoadTest,
  plan: Plan,
  { cpu, samples, summary }: Measured,
  startedAt: string,
): LoadTestResult {
  const thresholds = judge(summary, profile.thresholds);
  const times = (of: { class?: string }) => ({
    ackMs: percentilesOf(summary, "ack", of),
    firstDeltaMs: percentilesOf(summary, "first_delta", of),
    endToEndMs: percentilesOf(summary, "end_to_end", of),
    queueWaitMs: percentilesOf(summary, "queue_wait", of),
    reconnectGapMs: percentilesOf(summary, "reconnect_gap", of),
  });
  const classes = plan.groups.map(({ clients, name }) => [name, { clients, ...times({ class: name }) }]);
  const seconds = samples.seconds().map(({ second }) => second);
  const first = plan.groups[0]?.message;
  return {
    verdict: thresholds.every(({ ok }) => ok) ? "pass" : "fail",
    profile: profile.name,
    requests: countOf(summary, "requests"),
    errors: {
      client: countOf(summary, "errors", { kind: "client" }),
      overload: countOf(summary, "errors", { kind: "overload" }),
      unplanned: countOf(summary, "errors", { kind: "unplanned" }),
    },
    ...times({}),
    historyMs: percentilesOf(summary, "history"),
    abortMs: percentilesOf(summary, "abort"),
    connectMs: percentilesOf(summary, "connect"),
    thresholds,
    report: path.join(reportDir, "report.html"),
    messages: { sent: countOf(summary, "sent"), ended: countOf(summary, "ended") },
    classes: Object.fromEntries(classes) as LoadTestResult["classes"],
    reasons: [...samples.reasons.values()].sort((a, b) => b.count - a.count),
    limit: profile.findsLimit === true && first ? findLimit(seconds, { modelMs: modelMs(first) }) : null,
    generator: generatorFigures(percentilesOf(summary, "lag"), cpu?.use ?? null),
    startedAt,
    seconds: Math.round(loadSeconds(plan) * 10) / 10,
    clients: plan.groups.reduce((sum, { clients }) => sum + clients, 0),
    target: target.description,
    command,
  };
}
