import type { PlantedBug } from "./planted-bug.ts";

const CLAIM = "migrate/sql/000004_claim.sql";
const WRITES = "migrate/sql/000006_checkpoint_finish.sql";
const ACCEPT = "migrate/sql/000003_accept.sql";
const WORKERS = "migrate/sql/000007_workers.sql";

/** Bugs of what PostgreSQL decides: leases, tokens, order, idempotency. */
export const LEDGER_BUGS: readonly PlantedBug[] = [
  {
    name: "lease-without-fencing",
    what: "a new grant keeps the token of the last one",
    promise: "exclusive",
    trial: "busy",
    edits: [
      {
        file: CLAIM,
        find: "SELECT l.tenant_id, l.session_key, l.fencing_token + 1 AS token, l.pool, l.head_seq,",
        replace:
          "SELECT l.tenant_id, l.session_key, greatest(l.fencing_token, 1) AS token, l.pool, l.head_seq,",
      },
    ],
  },
  {
    name: "finish-without-token",
    what: "a result is stored whoever brings it, and a worker does not ask whether its lease still holds",
    promise: "exclusive",
    trial: "worker-paused",
    edits: [
      {
        file: WRITES,
        find: "      steps jsonb, msgs jsonb, next boolean, prev text, tin bigint, tout bigint)\n    JOIN session_leases l ON l.tenant_id = b.t AND l.session_key = b.s AND l.fencing_token = b.tok AND l.run_id = b.r",
        replace:
          "      steps jsonb, msgs jsonb, next boolean, prev text, tin bigint, tout bigint)\n    JOIN session_leases l ON l.tenant_id = b.t AND l.session_key = b.s AND l.run_id = b.r",
      },
      {
        file: "server/worker/ledger-calls.ts",
        find: "      if (keeper.trustMs() <= 0) throw lostError(worker, keeper);\n      keeper.lost.throwIfAborted();\n",
        replace: "",
      },
      {
        file: "server/worker/ledger-calls.ts",
        find: "        const trusted = unlessAborted(call(), keeper.lost);",
        replace: "        const trusted = call();",
      },
      {
        file: "server/worker/worker-life.ts",
        find: "    runs.abortAll(asHAError(keeper.lost.reason));\n",
        replace: "",
      },
    ],
  },
  {
    name: "live-session-given-away",
    what: "the sweep takes sessions from workers that live, and queues them a second time",
    promise: "exclusive",
    trial: "slow-clock",
    edits: [
      {
        file: WORKERS,
        find: "      IF NOT pg_try_advisory_xact_lock_shared(v_worker.lock_key) THEN",
        replace: "      IF v_worker.lock_key IS NULL THEN",
      },
    ],
  },
  {
    name: "lease-by-the-workers-clock",
    what: "a heartbeat brings the worker's own time, and the lease is counted from it",
    promise: "exclusive",
    trial: "slow-clock",
    edits: [
      {
        file: WORKERS,
        find: "CREATE FUNCTION heartbeat(p_worker text, p_lock_held boolean) RETURNS TABLE (aborts jsonb)",
        replace:
          "CREATE FUNCTION heartbeat(p_worker text, p_lock_held boolean, p_now float8) RETURNS TABLE (aborts jsonb)",
      },
      {
        file: WORKERS,
        find: "    UPDATE workers SET heartbeat_at = clock_timestamp(), lock_held = p_lock_held,",
        replace: "    UPDATE workers SET heartbeat_at = to_timestamp(p_now / 1000), lock_held = p_lock_held,",
      },
      {
        file: WORKERS,
        find: "REVOKE ALL ON FUNCTION register_worker(text, text, text[], integer, bigint, boolean), heartbeat(text, boolean),",
        replace:
          "REVOKE ALL ON FUNCTION register_worker(text, text, text[], integer, bigint, boolean), heartbeat(text, boolean, float8),",
      },
      {
        file: WORKERS,
        find: "GRANT EXECUTE ON FUNCTION register_worker(text, text, text[], integer, bigint, boolean), heartbeat(text, boolean),",
        replace:
          "GRANT EXECUTE ON FUNCTION register_worker(text, text, text[], integer, bigint, boolean), heartbeat(text, boolean, float8),",
      },
      {
        file: "server/adapters/postgres/heartbeat-link.ts",
        find: "SELECT * FROM heartbeat($1, $2)",
        replace: "SELECT * FROM heartbeat($1, $2, $3)",
      },
      {
        file: "server/adapters/postgres/heartbeat-link.ts",
        find: '[worker, state === "held"]',
        replace: '[worker, state === "held", Date.now()]',
      },
    ],
  },
  {
    name: "newest-first",
    what: "the newest queued run of a session is started first",
    promise: "fifo",
    trial: "busy",
    edits: [
      {
        file: CLAIM,
        find: "      ORDER BY r.run_order LIMIT 1",
        replace: "      ORDER BY r.run_order DESC LIMIT 1",
      },
    ],
  },
  {
    name: "idempotency-by-key-alone",
    what: "a key that was seen before is answered whatever comes under it",
    promise: "idempotent",
    trial: "busy",
    edits: [
      {
        file: ACCEPT,
        find: "             WHEN i.session_key = b.s AND i.request_hash = decode(b.h, 'hex') THEN 'existing'",
        replace: "             WHEN true THEN 'existing'",
      },
      {
        file: ACCEPT,
        find: "        CASE WHEN i.session_key = b.s AND i.request_hash = decode(b.h, 'hex') AND NOT t.disabled THEN r.record END",
        replace: "        CASE WHEN NOT t.disabled THEN r.record END",
      },
    ],
  },
  {
    name: "idempotency-record-dropped",
    what: "the record of a key is removed when its run ends",
    promise: "idempotent",
    trial: "busy",
    edits: [
      {
        file: WRITES,
        find: "      ), shown AS (",
        replace:
          "      ), forgotten AS (\n        DELETE FROM idempotency_records d USING ended e WHERE d.tenant_id = e.t AND d.idempotency_key = e.r\n      ), shown AS (",
      },
    ],
  },
  {
    name: "history-of-all-tenants",
    what: "rows of a transcript are read by session key alone, and row-level security does not cover them",
    promise: "isolated",
    trial: "two-tenants",
    edits: [
      {
        file: "migrate/sql/000002_row_level_security.sql",
        find: "'steps','messages','transcript_segments'",
        replace: "'steps','transcript_segments'",
      },
      {
        file: "server/adapters/postgres/session-store.ts",
        find: "  WHERE m.tenant_id = $1 AND m.session_key = $2 AND m.seq BETWEEN $3 AND $4 ORDER BY m.seq`;",
        replace:
          "  WHERE $1::text IS NOT NULL AND m.session_key = $2 AND m.seq BETWEEN $3 AND $4 ORDER BY m.seq`;",
      },
    ],
  },
];
