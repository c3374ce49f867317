import type { RunRow } from "../../cli/runs/run-rows.ts";
import type { DemoCallReport } from "../../server/demo-model/call-log.ts";
import { pidsOf, type TestDeployment } from "../../server/testing/deployment.ts";
import { connectClient } from "./client.ts";
import { progress, rounded } from "./report.ts";
import { endOfAttempt, startStream, type StreamedRun, streamedRun } from "./streamed-run.ts";

const RUNS_PER_KILL = 8;

export interface WorkerTakeovers {
  /** From the kill to the first text of the next attempt at a client, for each run of the killed worker. */
  readonly nextEventMs: readonly number[];
  /** From the kill to the next model call for the same run. */
  readonly nextModelCallMs: readonly number[];
}

/** Kills the worker that holds a streaming run, again and again; the supervisor brings it back in between. */
export async function workerTakeovers(deployment: TestDeployment, kills: number): Promise<WorkerTakeovers> {
  const { OPENCLAW_GATEWAY_URL: url, OPENCLAW_GATEWAY_TOKEN: token } = await deployment.env();
  const nextEventMs: number[] = [];
  const nextModelCallMs: number[] = [];
  for (let kill = 1; kill <= kills; kill++) {
    const view = await deployment.ready();
    const runs = Array.from({ length: RUNS_PER_KILL }, streamedRun);
    const client = await connectClient({
      url: String(url),
      token: String(token),
      onChat: (payload) => runs.forEach((run) => run.push(payload)),
    });
    await Promise.all(runs.map((run) => startStream(client, run)));
    const { victim, held } = await holderOfFirst(deployment, runs);
    const taken = held.map((run) => run.textAfter(endOfAttempt(run.lastRunSeq())));
    const killedAt = performance.now();
    const killedAtEpoch = Date.now();
    process.kill(pidsOf(view)[victim]!, "SIGKILL");
    const waits = (await Promise.all(taken)).map((at) => at - killedAt);
    nextEventMs.push(...waits);
    const calls = await modelCalls(String(view.demoModel?.url));
    for (const { runId } of held) {
      const call = calls.find((one) => one.text.includes(runId) && one.startedAt >= killedAtEpoch);
      if (call) nextModelCallMs.push(call.startedAt - killedAtEpoch);
    }
    await Promise.all(runs.map(({ sessionKey }) => client.request("chat.abort", { sessionKey })));
    client.close();
    progress(
      `worker kill ${kill}: ${victim} with ${held.length} runs, next event after ${waits.map(rounded).join(", ")} ms`,
    );
  }
  return { nextEventMs, nextModelCallMs };
}

/** The worker that executes the first run, and those of the runs that it executes. */
async function holderOfFirst(
  deployment: TestDeployment,
  runs: readonly StreamedRun[],
): Promise<{ victim: string; held: StreamedRun[] }> {
  const listed = await deployment.cli(["runs", "list", "--status", "running", "--json"]);
  if (listed.exitCode !== 0) throw new Error(`runs list: ${listed.stdout}${listed.stderr}`);
  const rows = JSON.parse(listed.stdout) as RunRow[];
  const holders = new Map(rows.map(({ runId, worker }) => [runId, worker?.split(".")[0]]));
  const victim = holders.get(runs[0]?.runId ?? "");
  if (victim === undefined) throw new Error("nobody executes the run");
  return { victim, held: runs.filter(({ runId }) => holders.get(runId) === victim) };
}

async function modelCalls(url: string): Promise<DemoCallReport["calls"]> {
  return ((await (await fetch(`${url}/__demo/calls`)).json()) as DemoCallReport).calls;
}
