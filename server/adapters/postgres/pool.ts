import { type CustomTypesConfig, Pool, types as driverTypes } from "pg";

export interface PostgresPoolOptions {
  readonly url: string;
  /** Shown in pg_stat_activity: the instance's name. */
  readonly applicationName: string;
  readonly maxConnections?: number;
  /** A role to become at connect. The application's by default; null stays who the URL says (operators, tests). */
  readonly role?: string | null;
}

/** No statement of ours takes seconds: one that does waits for a lock or a disk that is gone. */
const STATEMENT_TIMEOUT_MS = 10_000;
/** The client gives up a little later than the server, in case the server does not answer at all. */
const QUERY_TIMEOUT_MS = 12_000;
const CONNECT_TIMEOUT_MS = 3_000;

/**
 * Plans must not depend on what the statistics know of the one tenant that is asked for: in a new database that is
 * nothing, and then every session of the tenant is read to find one (000003_accept.sql). Statements read pages:
 * parallel workers would only read ahead of the limit.
 */
const SETTINGS =
  "-c search_path=openclaw_ha -c idle_in_transaction_session_timeout=10000 -c plan_cache_mode=force_generic_plan -c max_parallel_workers_per_gather=0";

/** Counts and tokens stay far below 2^53, so a bigint is read as a number. */
const types: CustomTypesConfig = {
  getTypeParser: (oid, format) =>
    oid === driverTypes.builtins.INT8 ? Number : driverTypes.getTypeParser(oid, format),
};

/** A pool whose connections are the application's role with the schema on their path. It reconnects by itself. */
export function postgresPool(options: PostgresPoolOptions): Pool {
  const role = options.role === undefined ? "openclaw_ha_app" : options.role;
  const pool = new Pool({
    connectionString: options.url,
    application_name: options.applicationName,
    options: role === null ? SETTINGS : `-c role=${role} ${SETTINGS}`,
    max: options.maxConnections ?? 8,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    query_timeout: QUERY_TIMEOUT_MS,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    idleTimeoutMillis: 30_000,
    keepAlive: true,
    // What is asked for without waiting for an answer is sent without it as well (readOnce).
    pipeline: true,
    types,
  });
  // An idle connection that dies is replaced at the next query; the error has nobody else to go to.
  pool.on("error", () => {});
  return pool;
}
