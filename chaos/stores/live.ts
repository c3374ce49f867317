import type { Pool } from "pg";

const HOLDER = `SELECT w.instance FROM openclaw_ha.runs r JOIN openclaw_ha.workers w USING (worker_id)
  WHERE r.tenant_id = $1 AND r.session_key = $2 AND r.status = 'running' AND r.ended_at IS NULL
    AND r.started_at < clock_timestamp() - interval '120 milliseconds'`;

/**
 * The instance that executes a run of that session now; null while there is none. It has had the run for a moment, so
 * that what is done to it meets clients in the middle of an answer.
 */
export async function holderOf(database: Pool, tenant: string, sessionKey: string): Promise<string | null> {
  const { rows } = await database.query<{ instance: string }>(HOLDER, [tenant, sessionKey]);
  return rows[0]?.instance ?? null;
}

/** Calls of a run's messages with these directives, as the demo model tells. */
export async function modelCalls(url: string, run: string, directives: string) {
  const response = await fetch(`${url}/__demo/calls`);
  const { calls } = (await response.json()) as {
    calls: { readonly text: string; readonly status: number | null; readonly aborted: boolean }[];
  };
  return calls
    .filter(({ text }) => text.startsWith(`[[demo ${directives}]] <${run}-`))
    .map(({ aborted, status }) => ({ status, aborted }));
}
