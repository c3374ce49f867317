import { createHash } from "node:crypto";
import { createPostgresBackend, Queue, Worker, withBackend } from "bullmq";
import { Redis } from "ioredis";
import { Pool } from "pg";
import type { Duties, Guarantees, KeyedJob, Peer, PeerStores, RunningPeer } from "./peer.ts";
import { packageVersion, until } from "./support.ts";

/**
 * BullMQ without its paid edition has no groups: a queue's jobs are kept in order and apart only by a global
 * concurrency of 1. So the keys are spread over as many such queues, and each queue is as one key.
 */
const SHARDS = { redis: 64, postgres: 16 };

const VERSION = packageVersion("bullmq");

const SHARED_GUARANTEES = {
  perKey:
    "one at a time and in order within a shard of keys: a slow key holds up its shard; a stalled or retried job loses its place",
  repeated: "the same job while it is kept (here: until it is done)",
  workerDies: "taken over after 30 to 60 s (stalled)",
  staleWorker: "a late completion is refused, the work is not",
  told: "an event on a stream",
} satisfies Partial<Guarantees>;

/** Its own store: no commit of Postgres stands behind an acknowledgement. */
export const bullmqOnRedis: Peer = {
  name: `BullMQ ${VERSION} on Redis`,
  setup: `no groups outside its paid edition: keys hashed to ${SHARDS.redis} queues of global concurrency 1; AOF with appendfsync everysec, as its page Going to production has it`,
  guarantees: { acknowledged: "in Redis' memory, on disk within a second", ...SHARED_GUARANTEES },
  jobs: 6_000,
  async start(stores, duties) {
    const redis = new Redis(stores.redisUrl, { maxRetriesPerRequest: null });
    await redis.config("SET", "appendonly", "yes");
    await redis.config("SET", "appendfsync", "everysec");
    const running = await startShards(
      SHARDS.redis,
      (name) => new Queue<KeyedJob>(name, { connection: redis }),
      (name, work) => new Worker<KeyedJob>(name, work, { connection: redis, concurrency: 1 }),
      duties,
    );
    return {
      ...running,
      async close() {
        await running.close();
        await redis.config("SET", "appendonly", "no");
        await redis.quit();
      },
    };
  },
};

/** Its backend on PostgreSQL: the same durability as ours. */
export const bullmqOnPostgres: Peer = {
  name: `BullMQ ${VERSION} on PostgreSQL`,
  setup: `as on Redis, over ${SHARDS.postgres} queues, with createPostgresBackend`,
  guarantees: { acknowledged: "after the commit", ...SHARED_GUARANTEES },
  jobs: 1_500,
  async start({ postgresUrl }: PeerStores, duties) {
    const { Queue: PostgresQueue, Worker: PostgresWorker } = withBackend(createPostgresBackend);
    const pool = new Pool({ connectionString: postgresUrl, max: 64, options: "-c search_path=bullmq" });
    pool.setMaxListeners(0); // each queue and worker adds one
    const admin = new PostgresQueue<KeyedJob>("migrate", {
      connection: { connectionString: postgresUrl, migrate: true, max: 1 },
    });
    await admin.waitUntilReady();
    await admin.close();
    const running = await startShards(
      SHARDS.postgres,
      (name) => new PostgresQueue<KeyedJob>(name, { connection: pool }),
      (name, work) => new PostgresWorker<KeyedJob>(name, work, { connection: pool, concurrency: 1 }),
      duties,
    );
    return {
      ...running,
      async close() {
        await running.close();
        await pool.query("DROP SCHEMA bullmq CASCADE");
        await pool.end();
      },
    };
  },
};

type Work = (job: { readonly data: KeyedJob }) => Promise<void>;

/** What is used of a queue and of a worker, of either backend. */
interface ShardQueue {
  waitUntilReady(): Promise<unknown>;
  setGlobalConcurrency(concurrency: number): Promise<unknown>;
  add(name: string, data: KeyedJob, options: { jobId: string; removeOnComplete: boolean }): Promise<unknown>;
  getJobCountByTypes(...types: ("waiting" | "active" | "delayed" | "prioritized")[]): Promise<number>;
  obliterate(options: { force: boolean }): Promise<void>;
  close(): Promise<void>;
}

interface ShardWorker {
  waitUntilReady(): Promise<unknown>;
  on(event: "completed", listener: (job: { readonly data: KeyedJob }) => void): unknown;
  on(event: "error", listener: (error: Error) => void): unknown;
  close(): Promise<void>;
}

async function startShards(
  shards: number,
  openQueue: (name: string) => ShardQueue,
  openWorker: (name: string, work: Work) => ShardWorker,
  duties: Duties,
): Promise<RunningPeer> {
  const names = Array.from({ length: shards }, (_, n) => `work-${n}`);
  const queues = names.map(openQueue);
  for (const queue of queues) {
    await queue.waitUntilReady();
    await queue.setGlobalConcurrency(1);
  }
  const workers = names.map((name) => openWorker(name, ({ data }) => duties.work(data)));
  for (const worker of workers) {
    worker.on("completed", ({ data }) => duties.ended(data.id));
    worker.on("error", (error) => void process.stderr.write(`bullmq: ${error.message}\n`));
    await worker.waitUntilReady();
  }
  return {
    async submit(job) {
      await queues[shardOf(job.key, shards)]!.add("work", job, { jobId: job.id, removeOnComplete: true });
    },
    drained: () =>
      until(async () => {
        for (const queue of queues) {
          if ((await queue.getJobCountByTypes("waiting", "active", "delayed", "prioritized")) > 0)
            return false;
        }
        return true;
      }),
    async close() {
      await Promise.all(workers.map((worker) => worker.close()));
      for (const queue of queues) {
        await queue.obliterate({ force: true });
        await queue.close();
      }
    },
  };
}

const shardOf = (key: string, shards: number): number =>
  createHash("sha256").update(key).digest().readUInt32BE(0) % shards;
