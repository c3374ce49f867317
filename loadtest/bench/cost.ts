import { readdir, stat, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { pidsOf, startDeployment, type TestDeployment } from "../../server/testing/deployment.ts";
import { type CostFigures, FIGURES_FILE, type Share, type TopologyFigures } from "../cost-figures.ts";
import { type Client, connectClient } from "./client.ts";
import { measureLoad } from "./load.ts";
import { cpuSecondsByKind, proportionalBytes } from "./process-table.ts";
import { progress, result } from "./report.ts";
import { startStream, streamedRun } from "./streamed-run.ts";

const FILE = fileURLToPath(new URL(`../../${FIGURES_FILE}`, import.meta.url));
const USERS = 1_000;
const SOCKETS = 500;
const STREAMS = 100;
const RUNS = 2_000;
const WARM_UP_RUNS = 500;
/** Sockets that streams are sent over. */
const SENDERS = 10;
/** CPU time is counted over so long, after what came before has settled. */
const WATCH_MS = 15_000;
const SETTLE_MS = 8_000;
/** What is measured as one each and grows with use. */
const GATEWAYS = 2;
const WORKERS = 2;
const CONNECTIONS_PER_GATEWAY = 2_000;
const SLOTS_PER_WORKER = 64;

/** How each topology is measured; null: this release does not start it. */
const MEASURES: Readonly<Record<keyof CostFigures["topologies"], (() => Promise<TopologyFigures>) | null>> = {
  v0: null,
  v1: null,
  v2: measurePools,
};

/** Measures what a deployment, a user, a session and a run take, and writes it down for `openclaw-ha cost`. */
export async function costBenchmark(): Promise<void> {
  const cores = os.cpus();
  const { v0, v1, v2 } = MEASURES;
  const figures: CostFigures = {
    version: 1,
    measuredAt: new Date().toISOString().slice(0, 10),
    machine: {
      cpu: cores[0]?.model.trim() ?? "unknown",
      cores: cores.length,
      memoryBytes: os.totalmem(),
      node: process.versions.node,
    },
    topologies: {
      v0: (await v0?.()) ?? null,
      v1: (await v1?.()) ?? null,
      v2: (await v2?.()) ?? null,
    },
  };
  await writeFile(FILE, `${JSON.stringify(figures, null, 2)}\n`);
  progress(`wrote ${FILE}`);
  result(figures);
}

async function measurePools(): Promise<TopologyFigures> {
  const deployment = await startDeployment({ up: false, env: { OPENCLAW_HA_LOG_LEVEL: "warn" } });
  try {
    const config = path.join(deployment.folder, "openclaw.json");
    await writeFile(config, JSON.stringify({ agents: { defaults: { maxConcurrent: STREAMS } } }));
    const sizes = ["--gateways", String(GATEWAYS), "--workers", String(WORKERS)];
    await deployment.up(...sizes, "--openclaw-config", config);
    return await measureUse(deployment);
  } finally {
    await deployment.close();
  }
}

async function measureUse(deployment: TestDeployment): Promise<TopologyFigures> {
  // The demo model stands in for a provider, which is paid otherwise.
  const { "demo-model": _, ...pids } = pidsOf(await deployment.status());
  const roots = Object.values(pids);
  const env = await deployment.env();
  const access = { url: String(env["OPENCLAW_GATEWAY_URL"]), token: String(env["OPENCLAW_GATEWAY_TOKEN"]) };
  const watch = (what: string): Promise<Share> => watched(what, deployment, roots);

  const base = await watch("at rest");
  const restingOf = (kind: string): Promise<Share> => instanceShare(pids[`${kind}-1`] ?? 0);
  const growth = [
    {
      what: "gateway",
      per: "online",
      every: CONNECTIONS_PER_GATEWAY,
      included: GATEWAYS,
      each: await restingOf("gateway"),
    },
    {
      what: "worker",
      per: "active",
      every: SLOTS_PER_WORKER,
      included: WORKERS,
      each: await restingOf("worker"),
    },
  ] as const;

  await addUsers(deployment);
  const withUsers = await watch(`${USERS} users`);

  const sockets = await Promise.all(Array.from({ length: SOCKETS }, () => connectClient(access)));
  const connected = await watch(`${SOCKETS} connections`);
  for (const socket of sockets) socket.close();

  const diskBefore = await diskBytes(deployment.dataDir);
  const load = await measureLoad({ ...access, clients: 50, warmUpRuns: WARM_UP_RUNS, runs: RUNS }, roots);
  const cpuMs = Object.values(load.cpuMsPerRunOf).reduce((sum, ms) => sum + ms, 0);
  const left = (await diskBytes(deployment.dataDir)) - diskBefore;
  progress(`${load.runs} runs, ${cpuMs.toFixed(2)} ms of CPU time each`);

  const rested = await watch("at rest again");
  const streaming = await startStreams(access);
  const active = await watch(`${STREAMS} streams`);
  for (const client of streaming) client.close();
  return {
    setup: `${GATEWAYS} gateways, ${WORKERS} workers, control, supervisor, embedded PostgreSQL and Redis`,
    base,
    user: differenceOf(withUsers, base, USERS),
    online: differenceOf(connected, withUsers, SOCKETS),
    active: { ...differenceOf(active, rested, STREAMS), diskBytes: 0 }, // what a run leaves is counted with it
    run: { cpuSeconds: cpuMs / 1_000, diskBytes: Math.round(left / (RUNS + WARM_UP_RUNS)) },
    growth: [...growth],
  };
}

async function watched(what: string, { dataDir }: TestDeployment, roots: readonly number[]): Promise<Share> {
  await sleep(SETTLE_MS);
  const before = cpuSeconds(roots);
  await sleep(WATCH_MS);
  const share = {
    memoryBytes: proportionalBytes(roots),
    cores: (cpuSeconds(roots) - before) / (WATCH_MS / 1_000),
    diskBytes: await diskBytes(dataDir),
  };
  progress(`${what}: ${JSON.stringify(share)}`);
  return share;
}

/** One process of a pool, at rest, beside others of its kind. */
async function instanceShare(pid: number): Promise<Share> {
  const before = cpuSeconds([pid]);
  await sleep(WATCH_MS);
  const cores = (cpuSeconds([pid]) - before) / (WATCH_MS / 1_000);
  return { memoryBytes: proportionalBytes([pid]), cores, diskBytes: 0 };
}

const cpuSeconds = (roots: readonly number[]): number =>
  Object.values(cpuSecondsByKind(roots)).reduce((sum, seconds) => sum + seconds, 0);

/** A user is a tenant with a token, as an operator adds it. */
async function addUsers(deployment: TestDeployment): Promise<void> {
  const file = path.join(deployment.folder, "openclaw-ha.yaml");
  const names = Array.from({ length: USERS }, (_, n) => `  - user-${n}\n`).join("");
  await writeFile(file, `tenants:\n${names}`);
  const { exitCode, stderr } = await deployment.cli(["--config", file, "up"]);
  if (exitCode !== 0) throw new Error(`users were not added:\n${stderr}`);
}

async function startStreams(access: { readonly url: string; readonly token: string }): Promise<Client[]> {
  return Promise.all(
    Array.from({ length: SENDERS }, async () => {
      const runs = Array.from({ length: STREAMS / SENDERS }, streamedRun);
      const client = await connectClient({
        ...access,
        onChat: (payload) => runs.forEach((run) => run.push(payload)),
      });
      await Promise.all(runs.map((run) => startStream(client, run)));
      return client;
    }),
  );
}

/** Noise below what was there before counts as nothing. */
function differenceOf(after: Share, before: Share, count: number): Share {
  const of = (key: keyof Share): number => Math.max(0, after[key] - before[key]) / count;
  return {
    memoryBytes: Math.round(of("memoryBytes")),
    cores: of("cores"),
    diskBytes: Math.round(of("diskBytes")),
  };
}

/** Of a data directory without its logs and PostgreSQL's write-ahead log, which grow and shrink for reasons of their own. */
async function diskBytes(folder: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (["logs", "pg_wal"].includes(entry.name)) continue;
    const place = path.join(folder, entry.name);
    if (entry.isDirectory()) bytes += await diskBytes(place);
    else
      bytes += await stat(place).then(
        ({ size }) => size,
        () => 0,
      ); // files come and go
  }
  return bytes;
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
