-- Bodies that are too large for their row, because object storage was away when they were written, are found and moved
-- also in sessions that are too short to be archived.
--   compatible: yes (an index and two new functions; older archivers do not look for such bodies)
--   lock: messages, against writes, while the index is built: it reads all bodies and holds the large ones only
--
-- The bound is INLINE_BODY_MAX_BYTES of core/transcript.ts. The index is the list of what is to be moved: a row leaves it
-- with its body, whoever moves, seals or deletes it. Measured: what each written row pays for the condition is lost in
-- the noise of writing it.
CREATE INDEX messages_large_inline ON messages (tenant_id, session_key, seq) WHERE octet_length(body::text) > 32768;

-- Large bodies of all tenants, at most p_limit of them, and after the first one only as many as fit into p_max_bytes.
CREATE FUNCTION large_bodies(p_limit integer, p_max_bytes bigint)
RETURNS TABLE (tenant_id text, session_key text, seq bigint, body json)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = openclaw_ha, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
AS $$
  SELECT x.tenant_id, x.session_key, x.seq, x.body FROM (
    SELECT m.*, octet_length(m.body::text) AS size,
      sum(octet_length(m.body::text)) OVER (ORDER BY m.tenant_id, m.session_key, m.seq) AS total
    FROM (
      SELECT m.tenant_id, m.session_key, m.seq, m.body FROM messages m WHERE octet_length(m.body::text) > 32768
      ORDER BY m.tenant_id, m.session_key, m.seq LIMIT p_limit
    ) m
  ) x WHERE x.total = x.size OR x.total <= p_max_bytes
$$;

-- Records that the body of a row lies in an object, and that of the run's input with it where it is the same. Under the
-- lease row, as every write of a transcript. Repeating it does nothing, nor does it touch a row that has been sealed:
-- its body is gone already. The seq of a deleted session is no later one's.
CREATE FUNCTION move_body(p_tenant text, p_key text, p_seq bigint, p_sha256 text, p_bytes bigint) RETURNS void
LANGUAGE plpgsql SET search_path = openclaw_ha, pg_temp SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
  v_run text;
BEGIN
  PERFORM FROM session_leases l WHERE l.tenant_id = p_tenant AND l.session_key = p_key FOR UPDATE;
  UPDATE messages m SET body = NULL, object_sha256 = p_sha256, object_bytes = p_bytes
  WHERE m.tenant_id = p_tenant AND m.session_key = p_key AND m.seq = p_seq AND m.body IS NOT NULL
  RETURNING m.run_id INTO v_run;
  IF NOT FOUND THEN RETURN; END IF;
  UPDATE runs r SET input_body = NULL, input_sha256 = p_sha256, input_bytes = p_bytes
  WHERE r.tenant_id = p_tenant AND r.run_id = v_run AND r.user_seq = p_seq AND r.input_body IS NOT NULL;
  INSERT INTO artifacts (tenant_id, sha256, bytes, kind) VALUES (p_tenant, p_sha256, p_bytes, 'message') ON CONFLICT DO NOTHING;
END $$;

REVOKE ALL ON FUNCTION large_bodies(integer, bigint), move_body(text, text, bigint, text, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION large_bodies(integer, bigint), move_body(text, text, bigint, text, bigint) TO openclaw_ha_app;
