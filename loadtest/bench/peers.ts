import { cpus, release } from "node:os";
import { Pool } from "pg";
import { bullmqOnPostgres, bullmqOnRedis } from "./peers/bullmq.ts";
import { openEffects } from "./peers/effects.ts";
import { graphileWorker } from "./peers/graphile-worker.ts";
import { keyedLoad, KEYS, waiters, WINDOW } from "./peers/keyed-load.ts";
import { openclawHa } from "./peers/openclaw-ha.ts";
import type { Peer } from "./peers/peer.ts";
import { pgBoss } from "./peers/pg-boss.ts";
import { type PeerPass, peersTable } from "./peers/table.ts";
import { judge, overlapCounter } from "./peers/verdict.ts";
import { cpuOf, median, progress, result } from "./report.ts";
import { type BenchStores, startStores } from "./stores.ts";

const PEERS = [openclawHa, graphileWorker, pgBoss, bullmqOnPostgres, bullmqOnRedis];
const PASSES = 3;

/**
 * The same durable work, one job of a key at a time, on openclaw-ha and on what people build it with: in turns, on the
 * same stores, with the same keys, jobs in flight and payload. Whether order and effects held is read from the store.
 */
export async function peersBenchmark(): Promise<void> {
  const stores = await startStores();
  try {
    const passes = new Map<Peer, PeerPass[]>(PEERS.map((peer) => [peer, []]));
    for (let pass = 1; pass <= PASSES; pass++) {
      for (const peer of PEERS) {
        const measured = await onePass(peer, stores);
        progress(`pass ${pass}: ${peer.name}: ${JSON.stringify(measured)}`);
        passes.get(peer)!.push(measured);
      }
    }
    const ours = passes.get(openclawHa)!;
    const systems = PEERS.map((peer) => {
      const { name, setup, guarantees } = peer;
      const measured = passes.get(peer)!;
      // Of the turns that ran beside each other, so that a machine that slows down slows down both.
      const ratio = median(measured.map(({ runsPerSecond }, i) => ours[i]!.runsPerSecond / runsPerSecond));
      const cpuRatio = median(measured.map((figures, i) => cpuOf(figures) / cpuOf(ours[i]!)));
      return { name, setup, guarantees, passes: measured, ratio, cpuRatio };
    });
    const document = {
      benchmark: "peers",
      date: new Date().toISOString().slice(0, 10),
      machine: `${cpus().length} × ${cpus()[0]?.model ?? "CPU"}, Linux ${release()}, Node ${process.version}`,
      command: "npm run bench -- peers",
      keys: KEYS,
      inFlight: KEYS * WINDOW,
      systems,
    };
    result(document);
    progress(peersTable(document));
  } finally {
    await stores.stop();
  }
}

async function onePass(peer: Peer, stores: BenchStores): Promise<PeerPass> {
  const pool = new Pool({ connectionString: stores.postgresUrl, max: 2 });
  try {
    await emptyTables(pool);
    const effects = await openEffects(pool);
    const clients = waiters();
    const { during, overlaps } = overlapCounter();
    const running = await peer.start(stores, {
      during,
      work: (job) => during(job.key, () => effects.write(job)),
      ended: clients.ended,
      concurrency: KEYS * WINDOW,
    });
    try {
      const { figures, jobs } = await keyedLoad(running, { jobs: peer.jobs, pids: stores.pids }, clients);
      const stored = await (peer.effects?.(pool) ?? effects.read());
      return { ...figures, verdict: judge(jobs, stored, overlaps()) };
    } finally {
      await running.close();
    }
  } finally {
    await pool.end();
  }
}

/** Each turn begins with the same stores: what earlier ones left is neither searched nor vacuumed in it. */
async function emptyTables(pool: Pool): Promise<void> {
  await pool.query(`TRUNCATE openclaw_ha.sessions, openclaw_ha.session_leases, openclaw_ha.runs, openclaw_ha.messages,
    openclaw_ha.steps, openclaw_ha.idempotency_records, openclaw_ha.seal_queue`);
  await pool.query("CHECKPOINT");
}
