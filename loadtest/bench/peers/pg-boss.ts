import { Pool } from "pg";
import { PgBoss } from "pg-boss";
import { batcher } from "../../../server/core/batcher.ts";
import type { KeyedJob, Peer } from "./peer.ts";
import { packageVersion, until } from "./support.ts";

const QUEUE = "work";
/** Jobs that one fetch takes. A handler ends all of its jobs together, so several take turns. */
const BATCH = 64;
const WORKERS = 4;

/** The policy `key_strict_fifo`: first in, first out within each singleton key. */
export const pgBoss: Peer = {
  name: `pg-boss ${packageVersion("pg-boss")}`,
  setup: `policy key_strict_fifo with singletonKey; insert() in batches; ${WORKERS} workers that fetch ${BATCH} and settle each job; LISTEN/NOTIFY, burstWhenBatchFull`,
  guarantees: {
    acknowledged: "after the commit",
    perKey: "strict order, one at a time; a failed job holds its key back",
    repeated: "the same job while it is kept (7 days by default)",
    workerDies: "taken over after 15 min (expireInSeconds), or by heartbeat from 10 s",
    staleWorker: "the completion of an earlier attempt is refused, its work is not",
    told: "nothing; a client polls",
  },
  jobs: 4_000,
  async start({ postgresUrl }, duties) {
    const boss = new PgBoss({ connectionString: postgresUrl, useListenNotify: true, max: 10 });
    boss.on("error", (error) => void process.stderr.write(`pg-boss: ${String(error)}\n`));
    await boss.start();
    await boss.createQueue(QUEUE, { policy: "key_strict_fifo", notify: true });
    await boss.work<KeyedJob>(
      QUEUE,
      {
        batchSize: BATCH,
        localConcurrency: WORKERS,
        perJobResults: true,
        burstWhenBatchFull: true,
        pollingIntervalSeconds: 0.5,
        notifyPollingIntervalSeconds: 0.5,
      },
      async (jobs) =>
        Promise.all(
          jobs.map(async ({ id, data }) => {
            await duties.work(data);
            duties.ended(data.id);
            return { id, status: "completed" as const };
          }),
        ),
    );
    const inserts = batcher<KeyedJob, null>({
      name: "insert",
      maxBatch: 256,
      maxWaiting: Number.MAX_SAFE_INTEGER,
      call: async (jobs) => {
        await boss.insert(
          QUEUE,
          jobs.map((job) => ({ id: job.id, data: job, singletonKey: job.key })),
        );
        return jobs.map(() => null);
      },
    });
    const pool = new Pool({ connectionString: postgresUrl, max: 1 });
    return {
      submit: async (job) => void (await inserts.submit(job)),
      drained: () =>
        until(async () => {
          const { rows } = await pool.query<{ left: number }>(
            "SELECT count(*)::int AS left FROM pgboss.job WHERE name = $1 AND state < 'completed'",
            [QUEUE],
          );
          return rows[0]?.left === 0;
        }),
      async close() {
        await boss.stop({ graceful: true });
        await pool.query("DROP SCHEMA pgboss CASCADE");
        await pool.end();
      },
    };
  },
};
