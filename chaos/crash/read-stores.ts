import type pg from "pg";
import type { ObjectStore } from "../../server/ports/object-store.ts";
import { readDatabase } from "../stores/read-database.ts";
import type { StoredCall, StoredRun } from "../stores/snapshot.ts";
import type { StoredRecord } from "./record.ts";

const RUN = `SELECT run_id AS "runId", session_key AS "sessionKey", run_order::int AS "runOrder", status, attempt, failures,
  result ->> 'text' AS text FROM openclaw_ha.runs WHERE run_id = $1`;

const HOLDER = `SELECT w.instance FROM openclaw_ha.runs r JOIN openclaw_ha.workers w USING (worker_id)
  WHERE r.run_id = $1 AND r.status = 'running'`;

/** What a test waits for in a run. */
export type RunState = Pick<
  StoredRun,
  "runId" | "sessionKey" | "runOrder" | "status" | "attempt" | "failures" | "text"
>;

/** What Postgres and the demo model know, as the record of a test holds it. */
export function readStores(database: pg.Pool, modelUrl: string, objects: Pick<ObjectStore, "get">) {
  const modelCalls = async (): Promise<StoredCall[]> => {
    const response = await fetch(`${modelUrl}/__demo/calls`);
    return ((await response.json()) as { calls: StoredCall[] }).calls;
  };
  return {
    modelCalls,
    /** Of the sessions whose keys begin so. */
    async read(sessionPrefix: string): Promise<StoredRecord> {
      const [stored, calls] = await Promise.all([
        readDatabase(database, { sessionPrefix, objects }),
        modelCalls(),
      ]);
      return { ...stored, calls };
    },
    async run(runId: string): Promise<RunState | null> {
      const { rows } = await database.query<RunState>(RUN, [runId]);
      return rows[0] ?? null;
    },
    async holderOf(runId: string): Promise<string | null> {
      const { rows } = await database.query<{ instance: string }>(HOLDER, [runId]);
      return rows[0]?.instance ?? null;
    },
  };
}
