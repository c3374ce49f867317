-- One order of locks also where workers' rows are concerned: lease rows come first. Whoever has a worker's row already
-- takes only those lease rows that are free (sweep), or waits for none any more (retire_worker).
--   compatible: yes (same names, arguments and answers)
--   lock: none that matters (functions replaced)
--
-- Before, retire_worker locked its worker's row and waited for leases while a claim that had those leases waited for
-- the row, to declare the worker dead: PostgreSQL ended one of the two after a second.

-- Declares dead whoever has not been heard of for the TTL. Only workers named, or all with NULL. The caller may hold
-- lease rows: a worker's row that somebody else is writing is passed over, for then the worker has just been heard of,
-- or somebody else is declaring it dead.
CREATE OR REPLACE FUNCTION expire_workers(p_workers text[], p_ttl_ms integer) RETURNS SETOF text
LANGUAGE sql SECURITY DEFINER SET search_path = openclaw_ha, pg_temp
AS $$
  UPDATE workers w SET state = 'dead', ended_at = clock_timestamp()
  FROM (
    SELECT worker_id FROM workers
    WHERE state = 'live' AND heartbeat_at < clock_timestamp() - make_interval(secs => p_ttl_ms / 1000.0)
      AND (p_workers IS NULL OR worker_id = ANY (p_workers))
    ORDER BY worker_id FOR UPDATE SKIP LOCKED
  ) x WHERE w.worker_id = x.worker_id
  RETURNING w.worker_id
$$;

-- Ends a worker in order: what it still holds is readied at once and counts as no failure. A session that it was granted
-- in the last moment is left to the next sweep where somebody else has its row.
CREATE OR REPLACE FUNCTION retire_worker(p_worker text) RETURNS TABLE (tenant_id text, session_key text, pool text, lane text)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = openclaw_ha, pg_temp SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
  v_tenants text[];
  v_keys    text[];
BEGIN
  PERFORM FROM (
    SELECT FROM session_leases l WHERE l.worker_id = p_worker ORDER BY l.tenant_id, l.session_key FOR UPDATE OF l
  ) x;
  UPDATE workers SET state = 'retired', ended_at = clock_timestamp() WHERE worker_id = p_worker AND state = 'live';
  SELECT array_agg(x.tenant_id), array_agg(x.session_key) INTO v_tenants, v_keys
  FROM (
    SELECT l.tenant_id, l.session_key FROM session_leases l WHERE l.worker_id = p_worker
    ORDER BY l.tenant_id, l.session_key FOR UPDATE OF l SKIP LOCKED
  ) x;
  IF v_tenants IS NULL THEN RETURN; END IF;
  RETURN QUERY SELECT r.tenant_id, r.session_key, r.pool, r.lane FROM recover_sessions(v_tenants, v_keys, 2147483647, true) r WHERE r.ready;
END $$;
