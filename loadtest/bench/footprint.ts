import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { type Client, connectClient } from "./client.ts";
import { type Environment, instanceEnvironment } from "./instance-environment.ts";
import { settledBytes } from "./settled-memory.ts";
import { median, progress, result, rounded } from "./report.ts";
import { type ServedProcess, serveProcess } from "./served-process.ts";
import { startStores } from "./stores.ts";
import { startStream, streamedRun } from "./streamed-run.ts";

const STARTS = 7;
const SOCKETS = 2_000;
const RUNS = 500;
/** Sockets that the runs are sent over. */
const SENDERS = 10;
const MB = 1_024 * 1_024;

/** Times to readiness and resident memory of one gateway and one worker: idle, per idle socket, per streaming run. */
export async function footprintBenchmark(): Promise<void> {
  const stores = await startStores();
  const folder = await mkdtemp(path.join(tmpdir(), "openclaw-ha-bench-"));
  const model = await serveProcess("demo-model", {});
  try {
    const env = await instanceEnvironment({ folder, modelPort: model.port, stores, runs: RUNS });
    const gatewayStarts = await startTimes("gateway", env);
    const workerStarts = await startTimes("worker", env);
    result({
      benchmark: "footprint",
      gateway: { startMs: gatewayStarts, ...(await withGateway(env, (g) => gatewayAtRest(g, stores.token))) },
      worker: { startMs: workerStarts },
      inFlight: await runsInFlight(env, stores.token),
    });
  } finally {
    await model.stop();
    await stores.stop();
    await rm(folder, { recursive: true });
  }
}

/** From the spawn to the first 200 of `/readyz`, over several starts of one process. */
async function startTimes(
  role: "gateway" | "worker",
  env: Environment,
): Promise<{ median: number; max: number }> {
  const times: number[] = [];
  for (let start = 0; start < STARTS; start++) {
    const served = await serveProcess(role, env);
    times.push(served.readyMs);
    await served.stop();
  }
  progress(`${role} starts: ${times.map(Math.round).join(", ")} ms`);
  return { median: median(times), max: rounded(Math.max(...times)) };
}

async function withGateway<T>(env: Environment, work: (gateway: ServedProcess) => Promise<T>): Promise<T> {
  const gateway = await serveProcess("gateway", env);
  try {
    return await work(gateway);
  } finally {
    await gateway.stop();
  }
}

/** Memory of a gateway that has done nothing, and what authenticated sockets add to it. */
async function gatewayAtRest(
  gateway: ServedProcess,
  token: string,
): Promise<{ idleMb: number; socketKb: number; sockets: number }> {
  const idle = await settledBytes(gateway.pid);
  const clients = await connectMany(gateway, token, SOCKETS);
  const connected = await settledBytes(gateway.pid);
  for (const client of clients) client.close();
  return {
    idleMb: rounded(idle / MB),
    socketKb: rounded((connected - idle) / SOCKETS / 1_024),
    sockets: SOCKETS,
  };
}

/**
 * What runs that stream cost a gateway and a worker: the difference to the same two processes after they have done as
 * many and rest, so that compiled code is in neither.
 */
async function runsInFlight(env: Environment, token: string): Promise<unknown> {
  const worker = await serveProcess("worker", env);
  try {
    return await withGateway(env, async (gateway) => {
      const fresh = { gateway: await settledBytes(gateway.pid), worker: await settledBytes(worker.pid) };
      const clients = await streamFrom(gateway, token);
      await abortAll(clients);
      const rested = { gateway: await settledBytes(gateway.pid), worker: await settledBytes(worker.pid) };
      const again = await streamFrom(gateway, token);
      const busy = { gateway: await settledBytes(gateway.pid), worker: await settledBytes(worker.pid) };
      await abortAll(again);
      const perRunKb = (role: "gateway" | "worker", before: number): number =>
        rounded((busy[role] - before) / RUNS / 1_024);
      return {
        runs: RUNS,
        workerIdleMb: rounded(fresh.worker / MB),
        gatewayRunKb: perRunKb("gateway", rested.gateway),
        workerRunKb: perRunKb("worker", rested.worker),
        // What the first 500 add to processes that have just started, compiled code and heap slack included.
        gatewayRunKbFromStart: perRunKb("gateway", fresh.gateway),
        workerRunKbFromStart: perRunKb("worker", fresh.worker),
      };
    });
  } finally {
    await worker.stop();
  }
}

interface Streaming {
  readonly client: Client;
  readonly sessionKeys: readonly string[];
}

/** Resolves when all runs stream at once. */
async function streamFrom(gateway: ServedProcess, token: string): Promise<Streaming[]> {
  return Promise.all(
    Array.from({ length: SENDERS }, async () => {
      const runs = Array.from({ length: RUNS / SENDERS }, streamedRun);
      const [client] = await connectMany(gateway, token, 1, (payload) =>
        runs.forEach((run) => run.push(payload)),
      );
      if (!client) throw new Error("no connection");
      await Promise.all(runs.map((run) => startStream(client, run)));
      return { client, sessionKeys: runs.map(({ sessionKey }) => sessionKey) };
    }),
  );
}

async function abortAll(streaming: readonly Streaming[]): Promise<void> {
  await Promise.all(
    streaming.map(async ({ client, sessionKeys }) => {
      await Promise.all(sessionKeys.map((sessionKey) => client.request("chat.abort", { sessionKey })));
      client.close();
    }),
  );
}

async function connectMany(
  gateway: ServedProcess,
  token: string,
  count: number,
  onChat?: Parameters<typeof connectClient>[0]["onChat"],
): Promise<Client[]> {
  const url = `ws://127.0.0.1:${gateway.port}`;
  const clients: Client[] = [];
  while (clients.length < count) {
    const next = Math.min(100, count - clients.length);
    const batch = Array.from({ length: next }, () =>
      connectClient({ url, token, ...(onChat ? { onChat } : {}) }),
    );
    clients.push(...(await Promise.all(batch)));
  }
  return clients;
}
