-- What 000007 gave the planner to know, once more: CREATE INDEX counts the rows of its table, and of an empty one the
-- planner believes from then on that it has hardly any. A later migration that makes an index does the same as this one.
--   compatible: yes
--   lock: none that matters (short inserts into tables that are still empty)
--
-- A database that has tenants is left alone: there CREATE INDEX has counted what is true.
DO $$
BEGIN
  IF EXISTS (SELECT FROM tenants) THEN RETURN; END IF;
  INSERT INTO tenants (tenant_id) SELECT 'example-' || t FROM generate_series(1, 4) t;
  INSERT INTO sessions (tenant_id, session_key, session_id, agent_id)
    SELECT 'example-' || t, 'agent:main:' || s, s::text, 'main' FROM generate_series(1, 4) t, generate_series(1, 500) s;
  INSERT INTO session_leases (tenant_id, session_key, session_id, pool, lane, worker_id)
    SELECT tenant_id, session_key, session_id, 'shared', 'main', CASE WHEN session_id::integer % 50 = 0 THEN 'worker-' || session_id::integer % 8 END
    FROM sessions;
  INSERT INTO runs (tenant_id, run_id, session_key, session_id, agent_id, lane, run_order, status, accepted_at, ended_at)
    SELECT tenant_id, session_key || r, session_key, session_id, 'main', 'main', r,
      CASE WHEN r = 2 AND session_id::integer % 50 = 0 THEN 'running' ELSE 'succeeded' END, clock_timestamp() + r * interval '1 ms',
      CASE WHEN r = 2 AND session_id::integer % 50 = 0 THEN NULL ELSE clock_timestamp() END
    FROM sessions, generate_series(1, 2) r;
  INSERT INTO idempotency_records (tenant_id, idempotency_key, session_key, request_hash)
    SELECT tenant_id, run_id, session_key, '\x00' FROM runs;
  INSERT INTO messages (tenant_id, session_key, seq, message_id, run_id)
    SELECT tenant_id, session_key, m, session_key || m, session_key FROM sessions, generate_series(1, 4) m;
  INSERT INTO steps (tenant_id, run_id, step_no, kind, fencing_token) SELECT tenant_id, run_id, 1, 'model', 1 FROM runs;
  ANALYZE tenants, sessions, session_leases, runs, idempotency_records, messages, steps;
  DELETE FROM steps; DELETE FROM messages; DELETE FROM idempotency_records; DELETE FROM runs; DELETE FROM session_leases;
  DELETE FROM sessions; DELETE FROM tenants;
END $$;
