import type pg from "pg";
import { onTestFinished } from "vitest";
import { until } from "../../server/testing/until.ts";

/** A session on which nothing can be written: statements wait until it is let go. */
export interface HeldSession {
  /** Resolves to the server process in which the instance's statement (`accept`, `finish`, …) waits for the session. */
  waits(instance: string, statement: string): Promise<number>;
  letGo(): Promise<void>;
}

const WAITING = `SELECT pid FROM pg_stat_activity
  WHERE wait_event_type = 'Lock' AND application_name = $1 AND query LIKE '/* ledger.' || $2 || ' */%'`;

/**
 * Holds the row by which a session is locked. A process that is stopped while its statement waits here, and killed
 * after the statement was let go, died between a commit and the next thing it would have done.
 */
export async function holdSession(database: pg.Pool, sessionKey: string): Promise<HeldSession> {
  const client = await database.connect();
  let holding = true;
  const letGo = async (): Promise<void> => {
    if (!holding) return;
    holding = false;
    await client.query("COMMIT");
    client.release();
  };
  onTestFinished(letGo);
  await client.query("BEGIN");
  const { rowCount } = await client.query(
    "SELECT FROM openclaw_ha.session_leases WHERE session_key = $1 FOR UPDATE",
    [sessionKey],
  );
  if (rowCount !== 1) throw new Error(`there is no session ${sessionKey} to hold`);
  const waiting = async (instance: string, statement: string): Promise<number | undefined> =>
    (await database.query<{ pid: number }>(WAITING, [instance, statement])).rows[0]?.pid;
  return {
    waits: (instance, statement) =>
      until(() => waiting(instance, statement), {
        what: `${statement} of ${instance} on ${sessionKey}`,
        pollMs: 5,
      }),
    letGo,
  };
}
