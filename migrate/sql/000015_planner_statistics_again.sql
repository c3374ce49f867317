-- What 000007 gave the planner to know of the tables that have got new indexes, once more: CREATE INDEX counts the rows of its table, and of an empty one the
-- planner believes from then on that it has hardly any. A later migration that makes an index does the same as this one.
--   compatible: yes
--   lock: none that matters (short inserts into tables that are still empty)
--
-- A database that has tenants is left alone: there CREATE INDEX has counted what is true.
DO $$
BEGIN
  IF EXISTS (SELECT FROM tenants) THEN RETURN; END IF;
  INSERT INTO session_leases (tenant_id, session_key, session_id, pool, lane, worker_id)
    SELECT 'example-' || t, 'agent:main:' || s, s::text, 'shared', 'main', CASE WHEN s % 100 = 0 THEN 'worker-' || s / 100 % 8 END
    FROM generate_series(1, 4) t, generate_series(1, 500) s;
  INSERT INTO messages (tenant_id, session_key, seq, message_id, run_id)
    SELECT tenant_id, session_key, m, session_key || m, session_key FROM session_leases, generate_series(1, 4) m;
  ANALYZE session_leases, messages;
  DELETE FROM messages; DELETE FROM session_leases;
END $$;
