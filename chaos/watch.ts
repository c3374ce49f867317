import type pg from "pg";
import type { Clock } from "../server/ports/clock.ts";
import type { HistoryWriter } from "./history/writer.ts";
import type { Target } from "./targets/target.ts";

const INSTANCES_EVERY_MS = 100;
const LEASES_EVERY_MS = 40;

/** Watches until the signal aborts, then resolves. What it cannot see (a store is away) it leaves out. */
export interface Watch {
  readonly over: Promise<void>;
}

async function repeat(
  everyMs: number,
  clock: Clock,
  signal: AbortSignal,
  look: () => Promise<void>,
): Promise<void> {
  while (!signal.aborted) {
    await look().catch(() => undefined);
    await clock.sleep(everyMs, signal);
  }
}

/** Writes an `instance` record whenever a process of the deployment comes or goes. */
export function watchInstances(
  target: Target,
  history: HistoryWriter,
  clock: Clock,
  signal: AbortSignal,
): Watch {
  const seen = new Map<string, number | null>();
  const look = async (): Promise<void> => {
    for (const { id, pid } of await target.subjects()) {
      if (seen.get(id) === pid) continue;
      seen.set(id, pid);
      history.write({ type: "instance", id, pid, state: pid === null ? "down" : "up" });
    }
  };
  return { over: repeat(INSTANCES_EVERY_MS, clock, signal, look) };
}

interface LeaseRow {
  readonly tenant: string;
  readonly sessionKey: string;
  readonly token: number;
  readonly worker: string | null;
  readonly runId: string | null;
}

const LEASES = `SELECT tenant_id AS tenant, session_key AS "sessionKey", fencing_token::int AS token,
    worker_id AS worker, run_id AS "runId"
  FROM openclaw_ha.session_leases WHERE starts_with(session_key, $1)`;

/** Writes a `lease` record whenever a lease of the run's sessions is seen to have changed. */
export function watchLeases(
  database: pg.Pool,
  sessionPrefix: string,
  history: HistoryWriter,
  clock: Clock,
  signal: AbortSignal,
): Watch {
  const seen = new Map<string, string>();
  const look = async (): Promise<void> => {
    const { rows } = await database.query<LeaseRow>(LEASES, [sessionPrefix]);
    for (const row of rows) {
      const name = `${row.tenant}\n${row.sessionKey}`;
      const state = `${row.token}\n${row.worker ?? ""}\n${row.runId ?? ""}`;
      if (seen.get(name) === state) continue;
      seen.set(name, state);
      history.write({ type: "lease", ...row });
    }
  };
  return { over: repeat(LEASES_EVERY_MS, clock, signal, look) };
}
