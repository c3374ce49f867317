-- Workers: registration, heartbeat, and the sweep that finds what a crash left behind.
--   compatible: first revision
--   lock: none that matters (new functions)
--
-- One order of locks also where workers' rows are concerned: lease rows come first. Whoever has a worker's row already
-- takes only those lease rows that are free (sweep), or waits for none any more (retire_worker). Otherwise a claim that
-- has those leases and waits for the row, to declare the worker dead, and whoever retires the worker wait in a circle.

CREATE FUNCTION register_worker(p_worker text, p_instance text, p_pools text[], p_slots integer, p_lock_key bigint, p_lock_held boolean)
RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = openclaw_ha, pg_temp
AS $$
  INSERT INTO workers (worker_id, instance, pools, slots, lock_key, lock_held)
  VALUES (p_worker, p_instance, p_pools, p_slots, p_lock_key, p_lock_held)
  ON CONFLICT (worker_id) DO NOTHING -- the same registration, sent again
$$;

-- Renews every lease of the worker at once: a lease is live while its worker's row is.
--   returns  no row when the worker is not alive any more; else the runs with an abort mark that it holds (may be NULL)
CREATE FUNCTION heartbeat(p_worker text, p_lock_held boolean) RETURNS TABLE (aborts jsonb)
LANGUAGE sql SECURITY DEFINER SET search_path = openclaw_ha, pg_temp
AS $$
  WITH beat AS (
    UPDATE workers SET heartbeat_at = clock_timestamp(), lock_held = p_lock_held,
      lock_free_since = CASE WHEN p_lock_held THEN NULL ELSE lock_free_since END
    WHERE worker_id = p_worker AND state = 'live' RETURNING worker_id
  )
  SELECT (
    SELECT jsonb_agg(jsonb_build_object('tenant', l.tenant_id, 'sessionKey', l.session_key, 'runId', l.run_id, 'token', l.fencing_token))
    FROM session_leases l JOIN runs r ON r.tenant_id = l.tenant_id AND r.run_id = l.run_id
    WHERE l.worker_id = beat.worker_id AND r.abort_requested)
  FROM beat
$$;

-- Finds dead workers and frees what they hold.
--   p_ttl_ms        a worker not heard of for so long is dead
--   p_lock_free_ms  a worker is dead when its session advisory lock has been found free for so long, it has not been
--                   heard of since, and the server has not restarted since it was (then every lock is free)
-- The lock is probed in shared mode, so that sweeps do not see each other as the holder.
--   returns  kind worker (worker_id, pools), session (tenant_id, session_key, pool, lane), buried (run, token)
CREATE FUNCTION sweep(p_ttl_ms integer, p_lock_free_ms integer, p_max_failures integer)
RETURNS TABLE (kind text, worker_id text, pools text[], tenant_id text, session_key text, pool text, lane text, token bigint, run jsonb)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = openclaw_ha, pg_temp SET jit = off
AS $$
#variable_conflict use_column
DECLARE
  v_now     timestamptz := clock_timestamp();
  v_dead    text[] := '{}';
  v_worker  record;
  v_tenants text[];
  v_keys    text[];
BEGIN
  FOR v_worker IN SELECT * FROM workers WHERE state = 'live' ORDER BY worker_id LOOP
    IF v_worker.heartbeat_at < v_now - make_interval(secs => p_ttl_ms / 1000.0) THEN
      v_dead := v_dead || v_worker.worker_id;
    ELSIF v_worker.lock_held AND pg_postmaster_start_time() < v_worker.heartbeat_at THEN
      IF NOT pg_try_advisory_xact_lock_shared(v_worker.lock_key) THEN
        UPDATE workers SET lock_free_since = NULL WHERE worker_id = v_worker.worker_id AND lock_free_since IS NOT NULL;
      ELSIF v_worker.lock_free_since IS NULL OR v_worker.lock_free_since < v_worker.heartbeat_at THEN
        UPDATE workers SET lock_free_since = v_now WHERE worker_id = v_worker.worker_id AND heartbeat_at = v_worker.heartbeat_at;
      ELSIF v_worker.lock_free_since < v_now - make_interval(secs => p_lock_free_ms / 1000.0) THEN
        v_dead := v_dead || v_worker.worker_id;
      END IF;
    END IF;
  END LOOP;

  IF cardinality(v_dead) > 0 THEN
    UPDATE workers w SET state = 'dead', ended_at = v_now
    FROM (SELECT worker_id, heartbeat_at FROM workers WHERE worker_id = ANY (v_dead) AND state = 'live' ORDER BY worker_id FOR UPDATE SKIP LOCKED) x
    WHERE w.worker_id = x.worker_id AND x.heartbeat_at < v_now; -- heard of meanwhile: not dead
  END IF;
  RETURN QUERY -- also those that a claim has found dead
    UPDATE workers w SET reported = true
    FROM (SELECT worker_id FROM workers WHERE state = 'dead' AND NOT reported FOR UPDATE SKIP LOCKED) x
    WHERE w.worker_id = x.worker_id
    RETURNING 'worker', w.worker_id, w.pools, NULL, NULL, NULL, NULL, NULL::bigint, NULL::jsonb;

  SELECT array_agg(x.tenant_id), array_agg(x.session_key) INTO v_tenants, v_keys
  FROM (
    SELECT l.tenant_id, l.session_key FROM workers w JOIN session_leases l ON l.worker_id = w.worker_id
    WHERE w.state <> 'live' ORDER BY l.tenant_id, l.session_key LIMIT 1000 FOR UPDATE OF l SKIP LOCKED
  ) x;
  IF v_tenants IS NOT NULL THEN
    RETURN QUERY
      SELECT CASE WHEN x.n = 1 THEN 'session' ELSE 'buried' END, NULL, NULL::text[], r.tenant_id, r.session_key, r.pool, r.lane, r.token, r.buried
      FROM recover_sessions(v_tenants, v_keys, p_max_failures, true) r CROSS JOIN (VALUES (1), (2)) AS x(n)
      WHERE (x.n = 1 AND r.ready) OR (x.n = 2 AND r.buried IS NOT NULL);
  END IF;
  DELETE FROM workers w WHERE w.state <> 'live' AND w.ended_at < v_now - interval '1 day'
    AND NOT EXISTS (SELECT FROM session_leases l WHERE l.worker_id = w.worker_id);
END $$;

-- Ends a worker in order: what it still holds is readied at once and counts as no failure. A session that it was granted
-- in the last moment is left to the next sweep where somebody else has its row.
CREATE FUNCTION retire_worker(p_worker text) RETURNS TABLE (tenant_id text, session_key text, pool text, lane text)
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

-- Sessions that are ready, in the order of their readiness, with the pool that serves their tenant now.
CREATE FUNCTION ready_sessions(p_older_than_ms integer, p_limit integer, p_since timestamptz, p_tenant text, p_key text)
RETURNS TABLE (ready_since timestamptz, tenant_id text, session_key text, pool text, lane text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = openclaw_ha, pg_temp SET enable_seqscan = off SET jit = off
AS $$
  SELECT l.ready_since, l.tenant_id, l.session_key,
    coalesce((SELECT t.pool FROM tenants t WHERE t.tenant_id = l.tenant_id), l.pool), l.lane
  FROM session_leases l
  WHERE l.ready_since IS NOT NULL AND l.ready_since <= clock_timestamp() - make_interval(secs => p_older_than_ms / 1000.0)
    AND (l.ready_since, l.tenant_id, l.session_key) > (coalesce(p_since, '-infinity'), coalesce(p_tenant, ''), coalesce(p_key, ''))
  ORDER BY l.ready_since, l.tenant_id, l.session_key LIMIT p_limit
$$;

CREATE FUNCTION live_workers() RETURNS TABLE (worker_id text, instance text, pools text[], slots integer, running bigint, started_at double precision, heartbeat_at double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = openclaw_ha, pg_temp
AS $$
  SELECT w.worker_id, w.instance, w.pools, w.slots, (SELECT count(*) FROM session_leases l WHERE l.worker_id = w.worker_id),
    floor(extract(epoch FROM w.started_at) * 1000)::double precision, floor(extract(epoch FROM w.heartbeat_at) * 1000)::double precision
  FROM workers w WHERE w.state = 'live' ORDER BY w.instance, w.started_at
$$;

CREATE FUNCTION backlog() RETURNS TABLE (ready bigint, running bigint, oldest_ready_ms double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = openclaw_ha, pg_temp SET enable_seqscan = off SET jit = off
AS $$
  SELECT (SELECT count(*) FROM session_leases WHERE ready_since IS NOT NULL),
    (SELECT count(*) FROM session_leases WHERE worker_id IS NOT NULL),
    coalesce((SELECT floor(extract(epoch FROM clock_timestamp() - min(ready_since)) * 1000)::double precision
              FROM session_leases WHERE ready_since IS NOT NULL), 0)
$$;

REVOKE ALL ON FUNCTION register_worker(text, text, text[], integer, bigint, boolean), heartbeat(text, boolean),
  sweep(integer, integer, integer), retire_worker(text), ready_sessions(integer, integer, timestamptz, text, text),
  live_workers(), backlog() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION register_worker(text, text, text[], integer, bigint, boolean), heartbeat(text, boolean),
  sweep(integer, integer, integer), retire_worker(text), ready_sessions(integer, integer, timestamptz, text, text),
  live_workers(), backlog() TO openclaw_ha_app;
