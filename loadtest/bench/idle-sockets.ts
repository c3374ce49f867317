import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { type ChildProgram, startChild } from "./child-program.ts";
import { instanceEnvironment } from "./instance-environment.ts";
import type { SocketsAnswer, SocketsReport, SocketsRequest } from "./many-sockets.ts";
import { cpuSecondsByKind, residentBytes } from "./process-table.ts";
import { type BenchmarkOptions, progress, result, rounded } from "./report.ts";
import { type ServedProcess, serveProcess } from "./served-process.ts";
import { settledBytes } from "./settled-memory.ts";
import { startStores } from "./stores.ts";

const FULL = { sockets: 20_000, durationMs: 600_000 };
const QUICK = { sockets: 1_000, durationMs: 5_000 };
/** A process may have 20,000 files open in many places, its sockets among them. */
const GATEWAYS = 2;
/** Addresses of this machine that the sockets of one gateway come from. */
const ADDRESSES = 4;
const LOOK_EVERY_MS = 30_000;

/**
 * Sockets that are connected and say nothing, but for the gateway's pings and ticks: whether they stay, and what they
 * cost the gateways in memory and CPU time.
 */
export async function idleSocketsBenchmark({ quick, durationMs }: BenchmarkOptions): Promise<void> {
  const size = quick ? QUICK : FULL;
  const stores = await startStores();
  const folder = await mkdtemp(path.join(tmpdir(), "openclaw-ha-bench-"));
  const gateways: ServedProcess[] = [];
  const children: ChildProgram<SocketsRequest, SocketsAnswer>[] = [];
  try {
    const env = await instanceEnvironment({ folder, modelPort: 9, stores, runs: 1 });
    for (let i = 0; i < GATEWAYS; i++) gateways.push(await serveProcess("gateway", env));
    const pids = gateways.map(({ pid }) => pid);
    const before = (await Promise.all(pids.map(settledBytes))).reduce(plus);
    const beganAt = performance.now();
    const sockets = size.sockets / GATEWAYS;
    await Promise.all(
      gateways.map(async ({ port }, i) => {
        const child = startChild<SocketsRequest, SocketsAnswer>("many-sockets.ts");
        children.push(child);
        const from = Array.from({ length: ADDRESSES }, (_, n) => `127.0.${i + 1}.${n + 1}`);
        await child.ask({ do: "open", port, token: stores.token, sockets, from });
      }),
    );
    const connectedMs = performance.now() - beganAt;
    progress(`${size.sockets} sockets on ${GATEWAYS} gateways after ${Math.round(connectedMs / 1_000)} s`);
    await Promise.all(pids.map(settledBytes));
    const idleMs = durationMs ?? size.durationMs;
    const cpuBefore = cpuSecondsByKind(pids)["gateway"] ?? 0;
    const perSocketKb: number[] = [];
    for (let restMs = idleMs; restMs > 0; restMs -= LOOK_EVERY_MS) {
      await wait(Math.min(restMs, LOOK_EVERY_MS));
      perSocketKb.push((pids.map(residentBytes).reduce(plus) - before) / size.sockets / 1_024);
    }
    const cpuSeconds = (cpuSecondsByKind(pids)["gateway"] ?? 0) - cpuBefore;
    const answered = (await Promise.all(children.map((child) => child.ask({ do: "ask" })))) as number[];
    const reports = (await Promise.all(
      children.map((child) => child.ask({ do: "report" })),
    )) as SocketsReport[];
    result({
      benchmark: "idle-sockets",
      quick,
      sockets: size.sockets,
      gateways: GATEWAYS,
      secondsConnecting: rounded(connectedMs / 1_000),
      secondsIdle: idleMs / 1_000,
      closed: reports.map(({ closed }) => closed).reduce(plus),
      answeredAtTheEnd: answered.reduce(plus),
      ticksPerSocket: rounded(reports.map(({ events }) => events).reduce(plus) / size.sockets),
      residentKbPerSocket: { last: rounded(perSocketKb.at(-1)!), most: rounded(Math.max(...perSocketKb)) },
      gatewayCpuPercentOfACore: rounded((cpuSeconds / (idleMs / 1_000)) * 100),
    });
  } finally {
    await Promise.all(children.map((child) => child.stop()));
    for (const gateway of gateways) await gateway.stop();
    await stores.stop();
    await rm(folder, { recursive: true });
  }
}

const plus = (a: number, b: number): number => a + b;
