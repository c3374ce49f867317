import { createHash } from "node:crypto";
import { Client } from "pg";
import { BENCH_TENANT } from "./control-path.ts";

/** Sessions of one statement: its sorts stay in memory, and the progress moves. */
const CHUNK = 50_000;

/**
 * A session as it lies there after one message and its answer: session, lease row, idempotency record, ended run, two
 * messages, one step. Keys are hashes, so that their order is not that of the table, as with keys that clients choose.
 */
const FILL = `
  WITH chunk AS MATERIALIZED (
    SELECT n, 'agent:main:' || md5($4 || n) AS key, md5('run' || $4 || n)::uuid::text AS run,
      clock_timestamp() - n * interval '2 seconds' AS at
    FROM generate_series($2::int, $3::int) n
  ), s AS (
    INSERT INTO sessions (tenant_id, session_key, session_id, agent_id, created_at, updated_at, last_preview, derived_title, last_run_id)
    SELECT $1, key, run, 'main', at, at, repeat('a', 75), repeat('q', 60), run FROM chunk
  ), l AS (
    INSERT INTO session_leases (tenant_id, session_key, session_id, pool, lane, fencing_token, next_order, head_seq, head_message_id)
    SELECT $1, key, run, 'shared', 'main', 1, 1, 2, run || ':answer' FROM chunk
  ), i AS (
    INSERT INTO idempotency_records (tenant_id, idempotency_key, session_key, request_hash, created_at)
    SELECT $1, run, key, sha256(run::bytea), at FROM chunk
  ), r AS (
    INSERT INTO runs (tenant_id, run_id, session_key, session_id, agent_id, lane, run_order, status, attempt, fencing_token,
      worker_id, steps_done, user_seq, accepted_at, started_at, ended_at, input_body, title, result)
    SELECT $1, run, key, run, 'main', 'main', 1, 'succeeded', 1, 1, 'worker.1', 1, 1, at, at, at,
      json_build_object('role', 'user', 'content', repeat('x', 200), 'timestamp', n), repeat('q', 60),
      jsonb_build_object('text', repeat('a', 75), 'stopReason', 'stop') FROM chunk
  ), m AS (
    INSERT INTO messages (tenant_id, session_key, seq, message_id, parent_id, run_id, idempotency_key, body, created_at)
    SELECT $1, key, 1, run || ':user', NULL, run, run || ':user',
      json_build_object('role', 'user', 'content', repeat('x', 200), 'timestamp', n), at FROM chunk
    UNION ALL
    SELECT $1, key, 2, run || ':answer', run || ':user', run, NULL,
      json_build_object('role', 'assistant', 'content', json_build_array(json_build_object('type', 'text', 'text', repeat('a', 75))), 'timestamp', n), at
    FROM chunk
  )
  INSERT INTO steps (tenant_id, run_id, step_no, kind, fencing_token, created_at) SELECT $1, run, 1, 'model', 1, at FROM chunk`;

/** The key of the n-th stored session, from 0, of a database of that size. */
export const storedSession = (size: number, n: number): string =>
  `agent:main:${createHash("md5").update(`${size}-${n}`).digest("hex")}`;

/** Stores sessions as the owner of the tables would restore them; answers the seconds it took. */
export async function fillSessions(url: string, size: number, tell: (text: string) => void): Promise<number> {
  const client = new Client({ connectionString: url, options: "-c search_path=openclaw_ha" });
  await client.connect();
  const began = performance.now();
  try {
    // Not what is measured: the commits of the load need not wait for the disk, and autovacuum comes once, at the end.
    await client.query("SET synchronous_commit = off");
    for (let from = 0; from < size; from += CHUNK) {
      const to = Math.min(from + CHUNK, size) - 1;
      await client.query(FILL, [BENCH_TENANT, from, to, `${size}-`]);
      if ((to + 1) % (CHUNK * 4) === 0) tell(`${to + 1} of ${size} sessions`);
    }
    await client.query("VACUUM ANALYZE");
    await client.query("CHECKPOINT");
  } finally {
    await client.end();
  }
  return (performance.now() - began) / 1_000;
}
