-- Rows appended outside of runs (chat.inject) are recognised by key, and let their session be archived.
--   compatible: no process of an older release can append such rows (append_message has one argument more)
--   lock: messages, against writes, while the index is built: it holds only rows that no run wrote
--
-- Before, the id of each row was looked for among all rows of its session, and a session that grew by such rows alone
-- never came onto the archiver's list.

-- Rows of runs are not in it: nothing looks for them by id alone, and the hot path has no index more to write.
CREATE UNIQUE INDEX messages_outside_runs ON messages (tenant_id, session_key, message_id) WHERE run_id IS NULL;

DROP FUNCTION append_message(text, text, text, text, text, text, bigint, text, text);

-- Appends a row outside a run, and shows it in lists. A row appended before with the same message id is answered, not
-- doubled. NULL: no such session.
--   p_seal_threshold  rows of hot tail above which the session is put into seal_queue
CREATE FUNCTION append_message(p_tenant text, p_key text, p_message_id text, p_idempotency_key text, p_body text, p_sha256 text,
  p_bytes bigint, p_preview text, p_title text, p_seal_threshold integer)
RETURNS bigint LANGUAGE plpgsql
SET search_path = openclaw_ha, pg_temp SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
  v_lease session_leases;
  v_seq   bigint;
BEGIN
  SELECT * INTO v_lease FROM session_leases l WHERE l.tenant_id = p_tenant AND l.session_key = p_key AND l.session_id IS NOT NULL FOR UPDATE;
  IF NOT FOUND THEN RETURN NULL; END IF;
  SELECT m.seq INTO v_seq FROM messages m
  WHERE m.tenant_id = p_tenant AND m.session_key = p_key AND m.message_id = p_message_id AND m.run_id IS NULL;
  IF FOUND THEN RETURN v_seq; END IF;
  v_seq := v_lease.head_seq + 1;
  INSERT INTO messages (tenant_id, session_key, seq, message_id, parent_id, idempotency_key, body, object_sha256, object_bytes)
  VALUES (p_tenant, p_key, v_seq, p_message_id, v_lease.head_message_id, p_idempotency_key, p_body::json, p_sha256, p_bytes);
  UPDATE session_leases SET head_seq = v_seq, head_message_id = p_message_id WHERE tenant_id = p_tenant AND session_key = p_key;
  UPDATE sessions SET updated_at = clock_timestamp(), last_preview = coalesce(p_preview, last_preview),
    derived_title = coalesce(derived_title, p_title)
  WHERE tenant_id = p_tenant AND session_key = p_key;
  IF v_seq - v_lease.sealed_seq > p_seal_threshold THEN
    INSERT INTO seal_queue (tenant_id, session_key) VALUES (p_tenant, p_key) ON CONFLICT DO NOTHING;
  END IF;
  RETURN v_seq;
END $$;

REVOKE ALL ON FUNCTION append_message(text, text, text, text, text, text, bigint, text, text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION append_message(text, text, text, text, text, text, bigint, text, text, integer) TO openclaw_ha_app;
