import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { freePort } from "../../server/adapters/local/free-port.ts";
import { redisEventBus } from "../../server/adapters/redis/event-bus.ts";
import { systemRandom } from "../../server/adapters/system/random.ts";
import { type SessionKey, tenantId } from "../../server/core/ids.ts";
import { isTerminalEvent, type RunEvent } from "../../server/core/run-event.ts";
import { recordingLogger } from "../../server/testing/recording-logger.ts";
import type { BroadcastAnswer, BroadcastRequest } from "./bare-broadcast.ts";
import { type ChildProgram, startChild } from "./child-program.ts";
import { type Client, connectClient } from "./client.ts";
import type { Heard, SocketsAnswer, SocketsReport, SocketsRequest } from "./many-sockets.ts";
import { instanceEnvironment } from "./instance-environment.ts";
import { cpuSecondsByKind } from "./process-table.ts";
import { type BenchmarkOptions, percentile, progress, result, rounded } from "./report.ts";
import { type ServedProcess, serveProcess } from "./served-process.ts";
import { type BenchStores, startStores } from "./stores.ts";

type Sockets = ChildProgram<SocketsRequest, SocketsAnswer>;

interface Size {
  readonly sockets: number;
  readonly runs: number;
  readonly warmUpMs: number;
  readonly measureMs: number;
  readonly bareBatches: number;
}

const FULL: Size = { sockets: 1_000, runs: 50, warmUpMs: 8_000, measureMs: 30_000, bareBatches: 20 };
const QUICK: Size = { sockets: 200, runs: 10, warmUpMs: 2_000, measureMs: 4_000, bareBatches: 20 };

/** An answer of 1,200 characters at 200 a second, as a model says about 50 tokens a second. */
const ANSWER = '[[demo text="0123456789" repeat=120 chunks=120 delay=50]]';
const ANSWER_MS = 6_000;
/** What is still under way when the measurement ends may take this long to arrive. */
const LATE_MS = 2_000;

/** One event as its writer made it: what the sockets are compared with. */
interface Said {
  readonly run: string;
  readonly runSeq: number;
  /** Epoch milliseconds. */
  readonly at: number;
}

/**
 * What it costs that everybody who may read a tenant hears all of its runs: sockets that read everything on two
 * gateways, runs that stream all the time, and for comparison a bare ws server that broadcasts events of the same
 * size to as many sockets.
 */
export async function fanOutBenchmark({ quick, durationMs }: BenchmarkOptions): Promise<void> {
  const base = quick ? QUICK : FULL;
  const size = { ...base, measureMs: durationMs ?? base.measureMs };
  const stores = await startStores();
  const folder = await mkdtemp(path.join(tmpdir(), "openclaw-ha-bench-"));
  const served: ServedProcess[] = [];
  const children: Sockets[] = [];
  try {
    const model = await serveProcess("demo-model", {});
    served.push(model);
    const env = await instanceEnvironment({ folder, modelPort: model.port, stores, runs: size.runs });
    const worker = await serveProcess("worker", env);
    served.push(worker);
    const gateways: ServedProcess[] = [];
    for (let i = 0; i < 2; i++) gateways.push(await serveProcess("gateway", env));
    served.push(...gateways);

    for (const { port } of gateways) {
      const child = startChild<SocketsRequest, SocketsAnswer>("many-sockets.ts");
      children.push(child);
      await child.ask({ do: "open", port, token: stores.token, sockets: size.sockets / gateways.length });
    }
    progress(`${size.sockets} sockets on ${gateways.length} gateways`);
    const pool = await measurePool(size, stores, gateways, worker, children);
    await Promise.all(children.map((child) => child.ask({ do: "close" })));
    const bare = await measureBare(size, children[0]!, pool.eventBytes);
    const bareCorked = bare.corked.cpuUsPerEvent;
    result({
      benchmark: "fan-out",
      quick,
      sockets: size.sockets,
      runs: size.runs,
      ...pool,
      bare,
      cpuAgainstBare: rounded(pool.cpuUsPerEvent / bare.plain.cpuUsPerEvent),
      cpuAgainstBareCorked: rounded(pool.cpuUsPerEvent / bareCorked),
    });
  } finally {
    await Promise.all(children.map((child) => child.stop()));
    for (const process of served.toReversed()) await process.stop();
    await stores.stop();
    await rm(folder, { recursive: true });
  }
}

async function measurePool(
  size: Size,
  stores: BenchStores,
  gateways: readonly ServedProcess[],
  worker: ServedProcess,
  children: readonly Sockets[],
) {
  const pids = [...gateways, worker].map(({ pid }) => pid);
  const said: Said[] = [];
  const ended: Said[] = [];
  const streams = await keepStreaming(size.runs, stores, gateways[0]!, (event) => {
    const { runId: run, runSeq, at, body } = event;
    if (body.type === "delta") said.push({ run, runSeq, at });
    else if (isTerminalEvent(body)) ended.push({ run, runSeq, at });
  });
  await wait(size.warmUpMs);
  progress("measuring");
  await Promise.all(children.map((child) => child.ask({ do: "begin" })));
  const before = cpuSecondsByKind(pids);
  const beganAt = Date.now();
  await wait(size.measureMs);
  const after = cpuSecondsByKind(pids);
  const endedAt = Date.now();
  await streams.stop();
  await wait(LATE_MS);
  const reports = (await Promise.all(
    children.map((child) => child.ask({ do: "report" })),
  )) as SocketsReport[];
  const measured = ({ at }: Said): boolean => at >= beganAt && at < endedAt;
  const seconds = (endedAt - beganAt) / 1_000;
  const sum = (field: "events" | "eventBytes" | "cpuSeconds" | "closed"): number =>
    reports.reduce((total, report) => total + report[field], 0);
  // Events of the last moments are counted without their CPU time; they are a few of a hundred.
  const events = sum("events");
  const perSide = size.sockets / gateways.length;
  const cpuOf = (kind: string): number => (after[kind] ?? 0) - (before[kind] ?? 0);
  return {
    secondsMeasured: seconds,
    deltaToLastSocketMs: latencies(
      said.filter(measured),
      reports.map((report) => report.deltas),
      perSide,
    ),
    endToLastSocketMs: latencies(
      ended.filter(measured),
      reports.map((report) => report.ends),
      perSide,
    ),
    eventsPerSecond: Math.round(events / seconds),
    eventBytes: Math.round(sum("eventBytes") / events),
    cpuUsPerEvent: rounded((cpuOf("gateway") * 1e6) / events),
    coresOfGateways: rounded(cpuOf("gateway") / seconds),
    coresOfWorker: rounded(cpuOf("worker") / seconds),
    coresOfSockets: rounded(sum("cpuSeconds") / seconds),
    socketsClosed: sum("closed"),
    eventsDropped: (await Promise.all(gateways.map(eventsDropped))).reduce((total, count) => total + count),
  };
}

/** Texts that a gateway has skipped for slow sockets since it started. */
async function eventsDropped({ port }: ServedProcess): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  return Number(
    /^openclaw_ha_gateway_events_total\{[^}]*delivery="dropped"[^}]*\} (\d+)/mu.exec(text)?.[1] ?? 0,
  );
}

/** From the moment that the worker made an event until every socket had it, or the later text that holds it too. */
function latencies(said: readonly Said[], sides: readonly (readonly Heard[])[], perSide: number) {
  const bySide = sides.map((heard) => {
    const runs = Map.groupBy(heard, ({ run }) => run);
    for (const list of runs.values()) list.sort((a, b) => a.runSeq - b.runSeq);
    return runs;
  });
  const times: number[] = [];
  let missed = 0;
  for (const { run, runSeq, at } of said) {
    // What was told to some sockets only (a slow one lost it) is told to them by a later one.
    const last = bySide.map((runs) =>
      runs.get(run)?.find((heard) => heard.runSeq >= runSeq && heard.sockets >= perSide),
    );
    if (last.every((heard) => heard !== undefined)) {
      times.push(Math.max(...last.map(({ lastAt }) => lastAt)) - at);
    } else missed++;
  }
  return {
    count: times.length,
    missed,
    p50: percentile(times, 0.5),
    p99: percentile(times, 0.99),
    max: percentile(times, 1),
  };
}

/** Keeps so many runs streaming, each in a session of its own; a session whose run has ended is sent the next one. */
async function keepStreaming(
  runs: number,
  stores: BenchStores,
  gateway: ServedProcess,
  onEvent: (event: RunEvent) => void,
): Promise<{ stop(): Promise<void> }> {
  const logger = recordingLogger();
  const bus = redisEventBus({ url: stores.redisUrl, logger, random: systemRandom });
  const client: Client = await connectClient({ url: `ws://127.0.0.1:${gateway.port}`, token: stores.token });
  let streaming = true;
  let sent = 0;
  const sending = new Set<Promise<unknown>>();
  const send = async (sessionKey: SessionKey): Promise<void> => {
    const idempotencyKey = `bench-${++sent}`;
    const answered = client.request("chat.send", { sessionKey, message: ANSWER, idempotencyKey });
    sending.add(answered);
    await answered.finally(() => sending.delete(answered));
  };
  const unsubscribe = await bus.subscribe(tenantId("bench"), {
    onEvents(events) {
      for (const event of events) {
        onEvent(event);
        if (isTerminalEvent(event.body) && streaming) void send(event.sessionKey);
      }
    },
    onNotice: () => undefined,
    onGap: () => undefined,
  });
  for (let run = 0; run < runs; run++) {
    await send(`agent:main:bench-${run}` as SessionKey);
    await wait(ANSWER_MS / runs); // as many end and begin at any time as at any other
  }
  return {
    async stop() {
      streaming = false;
      await unsubscribe();
      await Promise.all(sending);
      client.close();
      await bus.close();
    },
  };
}

interface BareFigures {
  readonly delivered: number;
  readonly cpuUsPerEvent: number;
}

/** The same number of bytes an event and sockets a process, from a ws server that does nothing else. */
async function measureBare(
  size: Size,
  sockets: Sockets,
  eventBytes: number,
): Promise<{ readonly plain: BareFigures; readonly corked: BareFigures }> {
  const bare = startChild<BroadcastRequest, BroadcastAnswer | null>("bare-broadcast.ts");
  try {
    const port = await freePort();
    await bare.ask({ do: "listen", port });
    await sockets.ask({ do: "open", port, token: null, sockets: size.sockets / 2 });
    const payload = { text: "x".repeat(Math.max(1, eventBytes - 60)) };
    const payloads = Array.from({ length: 2 * size.runs }, () => payload);
    const pass = async (corked: boolean, batches: number): Promise<BareFigures> => {
      const answer = (await bare.ask({ do: "broadcast", payloads, batches, corked })) as BroadcastAnswer;
      const { delivered, cpuSeconds } = answer;
      return { delivered, cpuUsPerEvent: rounded((cpuSeconds * 1e6) / delivered) };
    };
    await pass(false, 2); // compiled code
    const plain = await pass(false, size.bareBatches);
    const corked = await pass(true, size.bareBatches);
    progress(`bare ws: ${plain.cpuUsPerEvent} µs an event, ${corked.cpuUsPerEvent} µs corked`);
    return { plain, corked };
  } finally {
    await bare.stop();
  }
}
