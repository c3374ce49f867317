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

const BACKGROUND = `SELECT EXISTS (
      SELECT FROM openclaw_ha.runs WHERE starts_with(session_key, $1) AND ended_at IS NULL)
    OR EXISTS (SELECT FROM openclaw_ha.subagent_runs WHERE starts_with(requester_key, $1) AND announced_at IS NULL)
    OR EXISTS (SELECT FROM openclaw_ha.cron_jobs WHERE starts_with(definition ->> 'sessionTarget', 'session:' || $1)
      AND (next_run_at IS NOT NULL OR running_run_id IS NOT NULL)) AS open`;

/**
 * True while something is still to come in sessions whose keys begin so that no client waits for: a cron job that is due
 * or will be, a subagent whose end is not announced, a run of either.
 */
export async function hasBackgroundWork(database: Pool, sessionPrefix: string): Promise<boolean> {
  const { rows } = await database.query<{ open: boolean }>(BACKGROUND, [sessionPrefix]);
  return rows[0]?.open ?? false;
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
