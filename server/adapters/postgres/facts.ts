import { Client } from "pg";
import { loadMigrations, schemaRevision } from "../../../migrate/schema.ts";
import type { PostgresFacts } from "../../diagnosis/facts.ts";
import { postgresError } from "./errors.ts";

const CONNECT_TIMEOUT_MS = 3_000;
const QUERY_TIMEOUT_MS = 5_000;

// The clock is read alone, so that the round trip around it is short.
const READ_CLOCK = `/* facts.clock */ SELECT extract(epoch FROM clock_timestamp()) * 1000 AS now`;
const READ_SERVER = `/* facts.server */
  SELECT current_setting('server_version') AS version,
         current_setting('server_version_num')::int AS number,
         current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int AS connections,
         current_setting('synchronous_commit') AS commit,
         pg_is_in_recovery() AS recovery`;
// Released by `UNLOCK` on every path: behind a pooler the connection goes on to live with somebody else.
const TRY_LOCK = `/* facts.try_lock */ SELECT pg_try_advisory_lock(hashtextextended($1, 0)) AS locked`;
const UNLOCK = `/* facts.unlock */ SELECT pg_advisory_unlock(hashtextextended($1, 0))`;

interface ServerRow {
  readonly version: string;
  readonly number: number;
  readonly connections: number;
  readonly commit: string;
  readonly recovery: boolean;
}

const UNKNOWN_SERVER: ServerRow = {
  version: "unknown",
  number: 0,
  connections: 0,
  commit: "unknown",
  recovery: false,
};

/**
 * Looks at a database with two short connections.
 * @throws HAError STORE_UNAVAILABLE, CONFIG_INVALID
 */
export async function postgresFacts(url: string, now: () => number = Date.now): Promise<PostgresFacts> {
  const connect = (): Client => {
    const client = new Client({
      connectionString: url,
      application_name: "openclaw-ha-doctor",
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      query_timeout: QUERY_TIMEOUT_MS,
    });
    client.on("error", () => {}); // a lost connection shows in the pending query
    return client;
  };
  const [one, other] = [connect(), connect()];
  try {
    await Promise.all([one.connect(), other.connect()]);
    const { rows } = await one.query<ServerRow>(READ_SERVER);
    const server = rows[0] ?? UNKNOWN_SERVER;
    const clock = await readClock(one, now);
    const migrations = await loadMigrations();
    return {
      version: server.version.split(" ")[0] ?? server.version,
      versionNumber: server.number,
      inRecovery: server.recovery,
      maxConnections: server.connections,
      synchronousCommit: server.commit,
      ...clock,
      schemaRevision: await schemaRevision(one),
      releaseRevision: migrations.at(-1)?.revision ?? 0,
      sessionLocks: await locksAreSessions(one, other),
    };
  } catch (error) {
    throw postgresError(error, "facts");
  } finally {
    await Promise.allSettled([one.end(), other.end()]);
  }
}

/** The best of three: the shortest round trip bounds the error. */
async function readClock(
  client: Client,
  now: () => number,
): Promise<{ clockSkewMs: number; roundTripMs: number }> {
  let best = { clockSkewMs: 0, roundTripMs: Infinity };
  for (let i = 0; i < 3; i++) {
    const before = now();
    const started = performance.now();
    const { rows } = await client.query<{ now: string }>(READ_CLOCK);
    const roundTripMs = performance.now() - started;
    const skew = Number(rows[0]?.now ?? 0) - (before + roundTripMs / 2);
    if (roundTripMs < best.roundTripMs) best = { clockSkewMs: skew, roundTripMs };
  }
  return best;
}

/**
 * A lock that one connection holds must be refused to another. A transaction pooler gives both the same server
 * connection, which may take its own lock again.
 */
export async function locksAreSessions(one: Client, other: Client): Promise<boolean> {
  const key = [`openclaw_ha.doctor.${process.pid}.${performance.now()}`];
  const held = await one.query<{ locked: boolean }>(TRY_LOCK, key);
  const doubled = await other.query<{ locked: boolean }>(TRY_LOCK, key);
  if (doubled.rows[0]?.locked) await other.query(UNLOCK, key);
  if (held.rows[0]?.locked) await one.query(UNLOCK, key);
  return held.rows[0]?.locked === true && doubled.rows[0]?.locked !== true;
}
