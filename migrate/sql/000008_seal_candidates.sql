-- The archiver finds what it has to move from seal_queue, whatever else is on that list, and moves it in batches that
-- are worth an object.
--   compatible: yes (same name and arguments; processes of the older release put more sessions on the list than needed)
--   lock: none that matters (rows of seal_queue, which only finish_runs and the archiver touch)
--
-- Before, only the first p_limit sessions of the list were looked at, and those whose tail was too short for the
-- archiver stayed on it: some twenty of them hid all others for good. And every row above the tail that is kept was
-- moved at once, an object for each run of a long session.
DROP FUNCTION seal_candidates(integer, integer, integer, boolean);

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

REVOKE ALL ON FUNCTION seal_candidates(integer, integer, integer, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION seal_candidates(integer, integer, integer, boolean) TO openclaw_ha_app;

-- What the list held without need: it is put on it again when its tail has grown.
DELETE FROM seal_queue q USING session_leases l
WHERE l.tenant_id = q.tenant_id AND l.session_key = q.session_key AND l.head_seq - l.sealed_seq <= 200;
