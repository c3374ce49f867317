-- Finds the newest compaction of a session without reading its transcript: a context begins at the row that its id names.
--   compatible: yes; the previous release reads whole contexts, and leaves the rows out as other system rows
--   lock: SHARE on messages while the index is made, which reads the table once
--
-- Partial: a row of any other kind costs one comparison of its id, and no entry.
CREATE INDEX messages_compactions ON messages (tenant_id, session_key, seq DESC) WHERE message_id LIKE 'compaction:%';

-- As 000015, for the tables that this index has made the planner forget.
DO $$
BEGIN
  IF EXISTS (SELECT FROM tenants) THEN RETURN; END IF;
  INSERT INTO messages (tenant_id, session_key, seq, message_id, run_id)
    SELECT 'example-' || t, 'agent:main:' || s, m, 'agent:main:' || s || m, 'agent:main:' || s
    FROM generate_series(1, 4) t, generate_series(1, 500) s, generate_series(1, 4) m;
  ANALYZE messages;
  DELETE FROM messages;
END $$;
