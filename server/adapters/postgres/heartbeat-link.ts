import { Client, type QueryResultRow } from "pg";
import type { WorkerId } from "../../core/ids.ts";
import { HEARTBEAT_DEADLINE_MS, type HeartbeatLink } from "../../ports/heartbeat-link.ts";
import type { GrantRef, HeartbeatAnswer, LockState } from "../../ports/run-ledger.ts";
import { translated } from "./errors.ts";
import { workerLockKey } from "./run-ledger.ts";

export interface PostgresHeartbeatSettings {
  readonly url: string;
  readonly applicationName: string;
}

const LOCK = "/* heartbeat.lock */ SELECT pg_try_advisory_lock($1) AS held";
const HEARTBEAT = "/* heartbeat.beat */ SELECT * FROM heartbeat($1, $2)";

/** A sweep that probes the lock holds it for a moment in shared mode; trying again soon tells that from a real holder. */
const LOCK_ATTEMPTS = 5;
const LOCK_RETRY_MS = 20;
/**
 * A connection that broke while the worker lives is replaced at once and not at the next beat: until then the free
 * lock looks like a death (000007_workers.sql).
 */
const RESTORE_DELAYS_MS = [0, 30, 60, 120, 250, 500, 1_000];

/** The worker's connection to PostgreSQL: heartbeats and the session advisory lock (ports/heartbeat-link.ts). */
export function postgresHeartbeatLink({ url, applicationName }: PostgresHeartbeatSettings): HeartbeatLink {
  let client: Promise<Client> | null = null;
  let lockedFor: WorkerId | null = null;
  let closed = false;

  /** One attempt at a time; an attempt that failed or ended makes room for the next. */
  function connected(): Promise<Client> {
    if (client !== null) return client;
    const forget = (): void => {
      if (client === attempt) client = null;
    };
    const attempt: Promise<Client> = connect(forget);
    attempt.catch(forget);
    client = attempt;
    return attempt;
  }

  async function connect(forget: () => void): Promise<Client> {
    const connection = new Client({
      connectionString: url,
      application_name: applicationName,
      options: "-c role=openclaw_ha_app -c search_path=openclaw_ha",
      connectionTimeoutMillis: HEARTBEAT_DEADLINE_MS,
      query_timeout: HEARTBEAT_DEADLINE_MS,
      keepAlive: true,
    });
    connection.on("error", () => {}); // `end` follows
    connection.once("end", () => {
      forget();
      const worker = lockedFor;
      lockedFor = null;
      if (worker !== null && !closed) void restore(worker);
    });
    await connection.connect();
    return connection;
  }

  /** A query that timed out leaves its connection in an unknown state: it is given up, and the lock with it. */
  async function query<Row extends QueryResultRow>(text: string, values: unknown[]): Promise<Row[]> {
    const attempt = connected();
    const connection = await attempt;
    try {
      return (await connection.query<Row>(text, values)).rows;
    } catch (error) {
      if (client === attempt) client = null;
      (connection as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy(); // `end` would wait for an answer
      throw error;
    }
  }

  async function lock(worker: WorkerId): Promise<LockState> {
    if (lockedFor === worker) return "held";
    for (let attempt = 1; attempt <= LOCK_ATTEMPTS; attempt++) {
      const [row] = await query<{ held: boolean }>(LOCK, [workerLockKey(worker)]);
      if (row?.held) {
        lockedFor = worker;
        return "held";
      }
      await delay(LOCK_RETRY_MS);
    }
    return "absent";
  }

  async function heartbeat(worker: WorkerId, state: LockState): Promise<HeartbeatAnswer> {
    const [beat] = await query<{ aborts: GrantRef[] | null }>(HEARTBEAT, [worker, state === "held"]);
    return beat ? { kind: "alive", aborts: beat.aborts ?? [] } : { kind: "dead" };
  }

  async function restore(worker: WorkerId): Promise<void> {
    for (const wait of RESTORE_DELAYS_MS) {
      await delay(wait);
      if (closed) return;
      try {
        await heartbeat(worker, await lock(worker)); // what it answers is found out again at the next beat
        return;
      } catch {
        // The server is away: then no lock counts as free, and the beats go on trying.
      }
    }
  }

  return {
    lock: (worker) => translated("take the worker's lock", () => lock(worker)),
    heartbeat: (worker, state) => translated("renew the leases", () => heartbeat(worker, state)),
    async close() {
      closed = true;
      const connection = await client?.catch(() => null);
      client = null;
      await connection?.end().catch(() => {});
    },
  };
}

const delay = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** What the heartbeat thread loads by this module's URL. */
export const openHeartbeatLink = (settings: unknown): HeartbeatLink =>
  postgresHeartbeatLink(settings as PostgresHeartbeatSettings);
