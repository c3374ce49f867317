import type pg from "pg";
import { batcher } from "../../../server/core/batcher.ts";
import { SCRIPTED_ANSWER } from "../../../server/adapters/scripted-agent/agent-runtime.ts";
import type { KeyedJob } from "./peer.ts";

/** Nothing here forbids a second effect of a job, or one out of order: whether there was one is what is asked. */
const TABLE = `
  DROP TABLE IF EXISTS public.bench_effects;
  CREATE TABLE public.bench_effects (place_in_table bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, job text NOT NULL,
    key text NOT NULL, place integer NOT NULL, question text NOT NULL, answer text NOT NULL)`;
const INSERT = `
  INSERT INTO public.bench_effects (job, key, place, question, answer)
  SELECT job, key, place, question, $5 FROM unnest($1::text[], $2::text[], $3::int[], $4::text[]) AS e(job, key, place, question)`;
const READ = "SELECT job FROM public.bench_effects ORDER BY place_in_table";

export interface Effects {
  /** Stores question and answer; effects that wait at the same moment share a statement and its commit. */
  write(job: KeyedJob): Promise<void>;
  /** The jobs of all effects, in the order in which they were written. */
  read(): Promise<string[]>;
}

/**
 * The durable effect of the peers' jobs: what a run's transcript is to openclaw-ha. Written in batches as the product
 * writes, so that a peer is not slowed down by a commit per job that the product does not make either.
 */
export async function openEffects(pool: pg.Pool): Promise<Effects> {
  await pool.query(TABLE);
  const writes = batcher<KeyedJob, null>({
    name: "effect",
    maxBatch: 128,
    maxWaiting: Number.MAX_SAFE_INTEGER, // bounded by the jobs in flight
    call: async (batch) => {
      await pool.query({
        name: "bench_effects",
        text: INSERT,
        values: [
          batch.map(({ id }) => id),
          batch.map(({ key }) => key),
          batch.map(({ place }) => place),
          batch.map(({ text }) => text),
          SCRIPTED_ANSWER,
        ],
      });
      return batch.map(() => null);
    },
  });
  return {
    write: async (job) => void (await writes.submit(job)),
    read: async () => (await pool.query<{ job: string }>(READ)).rows.map(({ job }) => job),
  };
}
