import { Logger, makeWorkerUtils, run } from "graphile-worker";
import { Pool } from "pg";
import { batcher } from "../../../server/core/batcher.ts";
import { packageVersion, until } from "./support.ts";
import type { KeyedJob, Peer } from "./peer.ts";

/** Connections; one job fewer at once, as the page has it. */
const POOL = 25;

/** Jobs of one key share a named queue, which graphile-worker executes one at a time. */
export const graphileWorker: Peer = {
  name: `graphile-worker ${packageVersion("graphile-worker")}`,
  setup:
    "a named queue per key; local queue and batched completion as its page Performance has them; add_jobs; polled every 20 ms",
  guarantees: {
    acknowledged: "after the commit",
    perKey: "one at a time; in order while no job fails",
    repeated: "replaces the job while that waits (job key); runs again once it is done",
    workerDies: "job and its queue stay locked for 4 h",
    staleWorker: "nothing",
    told: "an event inside the worker's process",
  },
  jobs: 4_000,
  async start({ postgresUrl }, duties) {
    const pool = new Pool({ connectionString: postgresUrl, max: POOL });
    // The manual wants both handlers on a pool that is not its own.
    pool.on("connect", (client) => void client.on("error", () => {}));
    pool.on("error", (error) => void process.stderr.write(`graphile-worker: ${error.message}\n`));
    // Its own writes to stdout, which is for the results.
    const logger = new Logger(() => (level, message) => {
      if (level === "error") process.stderr.write(`graphile-worker: ${message}\n`);
    });
    const runner = await run({
      pgPool: pool,
      logger,
      noHandleSignals: true,
      preset: {
        worker: {
          concurrentJobs: POOL - 1,
          // Nothing is notified when a key becomes free, so its next job waits for a poll; the default is 2 s.
          pollInterval: 20,
          localQueue: { size: 500 },
          completeJobBatchDelay: 0,
          failJobBatchDelay: 0,
        },
      },
      taskList: { work: (payload) => duties.work(payload as KeyedJob) },
    });
    runner.events.on("job:complete", ({ job }) => duties.ended((job.payload as KeyedJob).id));
    const utils = await makeWorkerUtils({ pgPool: pool, logger });
    const adds = batcher<KeyedJob, null>({
      name: "add",
      maxBatch: 256,
      maxWaiting: Number.MAX_SAFE_INTEGER,
      call: async (jobs) => {
        await utils.addJobs(
          jobs.map((job) => ({
            identifier: "work",
            payload: job,
            queueName: job.key,
            jobKey: job.id,
          })),
        );
        return jobs.map(() => null);
      },
    });
    return {
      submit: async (job) => void (await adds.submit(job)),
      drained: () =>
        until(async () => {
          const { rows } = await pool.query<{ left: number }>(
            "SELECT count(*)::int AS left FROM graphile_worker._private_jobs",
          );
          return rows[0]?.left === 0;
        }),
      async close() {
        await runner.stop();
        await utils.release();
        await pool.query("DROP SCHEMA graphile_worker CASCADE");
        await pool.end();
      },
    };
  },
};
