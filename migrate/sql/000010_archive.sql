-- Moving transcripts to object storage: rows above the hot tail as segments, bodies that are too large for a row one by one.
--   compatible: first revision
--   lock: none that matters (new functions)

-- Sessions whose hot tail has more than p_tail rows, with the last row to move: all but the newer half of p_tail, at
-- most p_max_rows. Reads seal_queue; with p_all every session, for tails shorter than those that seal_queue lists.
CREATE FUNCTION seal_candidates(p_tail integer, p_limit integer, p_max_rows integer, p_all boolean)
RETURNS TABLE (tenant_id text, session_key text, last_seq bigint, sealed_seq bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = openclaw_ha, pg_temp SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
AS $$
#variable_conflict use_column
BEGIN
  IF p_all THEN
    RETURN QUERY
      SELECT l.tenant_id, l.session_key, least(l.head_seq - (p_tail + 1) / 2, l.sealed_seq + p_max_rows), l.sealed_seq
      FROM session_leases l WHERE l.session_id IS NOT NULL AND l.head_seq - l.sealed_seq > p_tail
      ORDER BY 1, 2 LIMIT p_limit;
    RETURN;
  END IF;
  RETURN QUERY
    SELECT l.tenant_id, l.session_key, least(l.head_seq - (p_tail + 1) / 2, l.sealed_seq + p_max_rows), l.sealed_seq
    FROM seal_queue q
    CROSS JOIN LATERAL (
      SELECT * FROM session_leases l WHERE l.tenant_id = q.tenant_id AND l.session_key = q.session_key LIMIT 1
    ) l
    WHERE l.session_id IS NOT NULL AND l.head_seq - l.sealed_seq > p_tail
    ORDER BY q.tenant_id, q.session_key LIMIT p_limit;
END $$;

-- Records a segment and empties its rows. Repeating it does nothing; a segment that does not continue the last one is refused.
CREATE FUNCTION seal_rows(p_tenant text, p_key text, p_first bigint, p_last bigint, p_sha256 text, p_bytes bigint, p_threshold integer) RETURNS void
LANGUAGE plpgsql SET search_path = openclaw_ha, pg_temp SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
  v_lease session_leases;
BEGIN
  SELECT * INTO v_lease FROM session_leases l WHERE l.tenant_id = p_tenant AND l.session_key = p_key FOR UPDATE;
  IF NOT FOUND OR v_lease.sealed_seq + 1 <> p_first OR p_last > v_lease.head_seq THEN RETURN; END IF;
  INSERT INTO transcript_segments (tenant_id, session_key, first_seq, last_seq, sha256, bytes)
  VALUES (p_tenant, p_key, p_first, p_last, p_sha256, p_bytes);
  INSERT INTO artifacts (tenant_id, sha256, bytes, kind) VALUES (p_tenant, p_sha256, p_bytes, 'segment') ON CONFLICT DO NOTHING;
  UPDATE messages SET body = NULL WHERE tenant_id = p_tenant AND session_key = p_key AND seq BETWEEN p_first AND p_last;
  UPDATE session_leases SET sealed_seq = p_last WHERE tenant_id = p_tenant AND session_key = p_key;
  IF v_lease.head_seq - p_last <= p_threshold THEN
    DELETE FROM seal_queue WHERE tenant_id = p_tenant AND session_key = p_key;
  END IF;
END $$;

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

-- Records that the body of a row lies in an object, and that of the run's input with it where it is the same: the input
-- of the run whose message it is, which for a steered one is not the run that the row belongs to. Under the lease row, as
-- every write of a transcript. Repeating it does nothing, nor does it touch a row that has been sealed: its body is gone
-- already. The seq of a deleted session is no later one's.
CREATE FUNCTION move_body(p_tenant text, p_key text, p_seq bigint, p_sha256 text, p_bytes bigint) RETURNS void
LANGUAGE plpgsql SET search_path = openclaw_ha, pg_temp SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
  v_run text;
BEGIN
  PERFORM FROM session_leases l WHERE l.tenant_id = p_tenant AND l.session_key = p_key FOR UPDATE;
  UPDATE messages m SET body = NULL, object_sha256 = p_sha256, object_bytes = p_bytes
  WHERE m.tenant_id = p_tenant AND m.session_key = p_key AND m.seq = p_seq AND m.body IS NOT NULL
  RETURNING CASE WHEN m.idempotency_key LIKE '%:user' THEN left(m.idempotency_key, -5) ELSE m.run_id END INTO v_run;
  IF NOT FOUND THEN RETURN; END IF;
  UPDATE runs r SET input_body = NULL, input_sha256 = p_sha256, input_bytes = p_bytes
  WHERE r.tenant_id = p_tenant AND r.run_id = v_run AND r.user_seq = p_seq AND r.input_body IS NOT NULL;
  INSERT INTO artifacts (tenant_id, sha256, bytes, kind) VALUES (p_tenant, p_sha256, p_bytes, 'message') ON CONFLICT DO NOTHING;
END $$;

REVOKE ALL ON FUNCTION seal_candidates(integer, integer, integer, boolean),
  seal_rows(text, text, bigint, bigint, text, bigint, integer), large_bodies(integer, bigint),
  move_body(text, text, bigint, text, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION seal_candidates(integer, integer, integer, boolean),
  seal_rows(text, text, bigint, bigint, text, bigint, integer), large_bodies(integer, bigint),
  move_body(text, text, bigint, text, bigint) TO openclaw_ha_app;
