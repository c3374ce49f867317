import type pg from "pg";
import type { ModelCall, StoredRow, StoredRun, TrafficRecord } from "./record.ts";

const RUNS = `SELECT run_id AS "runId", session_key AS "sessionKey", run_order::int AS "runOrder", status, attempt, failures,
  result ->> 'text' AS text FROM openclaw_ha.runs`;

// Rows whose body lies in an object have no role in Postgres: those that a run began with are named after it.
const ROWS = `SELECT session_key AS "sessionKey", seq::int AS seq, message_id AS "messageId", parent_id AS "parentId",
  run_id AS "runId", coalesce(body ->> 'role', CASE WHEN idempotency_key IS NULL THEN 'assistant' ELSE 'user' END) AS role
  FROM openclaw_ha.messages WHERE session_key = ANY ($1) ORDER BY session_key, seq`;

const HOLDER = `SELECT w.instance FROM openclaw_ha.runs r JOIN openclaw_ha.workers w USING (worker_id)
  WHERE r.run_id = $1 AND r.status = 'running'`;

/** What Postgres and the demo model know, as the record of a test holds it. */
export function readStores(database: pg.Pool, modelUrl: string) {
  const modelCalls = async (): Promise<ModelCall[]> => {
    const response = await fetch(`${modelUrl}/__demo/calls`);
    return ((await response.json()) as { calls: ModelCall[] }).calls;
  };
  return {
    modelCalls,
    async read(sessions: readonly string[]): Promise<Pick<TrafficRecord, "runs" | "rows" | "calls">> {
      const [runs, rows, calls] = await Promise.all([
        database.query<StoredRun>(`${RUNS} WHERE session_key = ANY ($1)`, [sessions]),
        database.query<StoredRow>(ROWS, [sessions]),
        modelCalls(),
      ]);
      return { runs: runs.rows, rows: rows.rows, calls };
    },
    async run(runId: string): Promise<StoredRun | null> {
      const { rows } = await database.query<StoredRun>(`${RUNS} WHERE run_id = $1`, [runId]);
      return rows[0] ?? null;
    },
    async holderOf(runId: string): Promise<string | null> {
      const { rows } = await database.query<{ instance: string }>(HOLDER, [runId]);
      return rows[0]?.instance ?? null;
    },
  };
}
