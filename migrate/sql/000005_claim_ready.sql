-- Claiming without the queue, while Redis is away: a walk over an index of lanes, in which callers wait for one another
-- only where they want the same lane.
--   compatible: first revision
--   lock: none that matters (new functions)

-- The lock under which sessions of a tenant's lane are claimed without the queue.
CREATE FUNCTION lane_lock(p_tenant text, p_lane text) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
  SELECT hashtextextended('openclaw_ha.claim_ready' || E'\x1f' || p_tenant || E'\x1f' || p_lane, 0)
$$;

-- A tenant that has something ready: that of a session drawn by the time of its becoming ready.
-- Sorts are off, so that ready sessions are read in the order of their index also where the planner expects hardly one.
CREATE FUNCTION draw_ready_tenant() RETURNS text LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = openclaw_ha, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off
AS $$
  SELECT l.tenant_id FROM session_leases l
  WHERE l.ready_since >= (
    SELECT o.ready_since + random() * (clock_timestamp() - o.ready_since)
    FROM session_leases o WHERE o.ready_since IS NOT NULL ORDER BY o.ready_since LIMIT 1)
  ORDER BY l.ready_since LIMIT 1
$$;

-- Claims ready sessions without the queue: oldest first, at most p_max, within the lane widths of each tenant.
--   p_widths  {lane: width}
-- What is oldest is found among 256 lanes that have something ready, or all where there are fewer; which ones these are
-- is drawn anew at each call. A lane from which another call is taking just now is passed over; where there is no other
-- one that call is waited for, so that widths hold between workers that poll together. Whoever waits has no lane locked,
-- and whoever has one waits for nothing.
CREATE FUNCTION claim_ready(p_worker text, p_pools text[], p_max integer, p_widths jsonb) RETURNS SETOF session_grant
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = openclaw_ha, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
  v_start   text COLLATE "C";
  v_end     text COLLATE "C" := '~'; -- behind every tenant's id (core/ids.ts)
  v_pools   text[];
  v_tenants text[];
  v_lanes   text[];
  v_mine    integer[] := '{}';
  v_keys    text[];
BEGIN
  PERFORM FROM workers WHERE worker_id = p_worker AND state = 'live';
  IF NOT FOUND THEN
    RAISE EXCEPTION 'worker % is not alive', p_worker USING ERRCODE = 'HA001';
  END IF;
  v_start := coalesce(draw_ready_tenant(), ''); -- from there the walk goes round

  -- Each step finds the next lane and its oldest session by one descent of the index.
  WITH RECURSIVE walk AS (
    SELECT p.pool, v_end AS before, v_start AS tenant_id, ''::text AS lane, NULL::timestamptz AS ready_since
    FROM unnest(p_pools) AS p(pool)
    UNION ALL
    SELECT w.pool, n.before, n.tenant_id, n.lane, n.ready_since FROM walk w CROSS JOIN LATERAL (
      (SELECT w.before, l.tenant_id, l.lane, l.ready_since FROM session_leases l
       WHERE l.ready_since IS NOT NULL AND l.pool = w.pool AND (l.tenant_id, l.lane) > (w.tenant_id, w.lane)
         AND l.tenant_id < w.before
       ORDER BY l.tenant_id, l.lane, l.ready_since LIMIT 1)
      UNION ALL
      (SELECT v_start, l.tenant_id, l.lane, l.ready_since FROM session_leases l
       WHERE w.before = v_end AND l.ready_since IS NOT NULL AND l.pool = w.pool AND l.tenant_id < v_start
       ORDER BY l.tenant_id, l.lane, l.ready_since LIMIT 1)
      LIMIT 1
    ) n
  ), found AS MATERIALIZED (
    SELECT * FROM walk w WHERE w.ready_since IS NOT NULL LIMIT 256
  ), held AS MATERIALIZED (
    SELECT l.tenant_id, l.lane, count(*) AS n FROM session_leases l WHERE l.worker_id IS NOT NULL GROUP BY 1, 2
  )
  SELECT array_agg(x.pool), array_agg(x.tenant_id), array_agg(x.lane) INTO v_pools, v_tenants, v_lanes
  FROM (
    SELECT f.pool, f.tenant_id, f.lane FROM found f LEFT JOIN held h USING (tenant_id, lane)
    WHERE coalesce(h.n, 0) < coalesce((p_widths ->> f.lane)::integer, 1)
    ORDER BY f.ready_since LIMIT p_max -- no call takes from more lanes than it may take sessions
  ) x;

  FOR v_no IN 1 .. coalesce(cardinality(v_lanes), 0) LOOP
    IF pg_try_advisory_xact_lock(lane_lock(v_tenants[v_no], v_lanes[v_no])) THEN
      v_mine := v_mine || v_no;
    END IF;
  END LOOP;
  IF v_mine = '{}' THEN
    IF v_lanes IS NULL THEN RETURN; END IF;
    PERFORM pg_advisory_xact_lock(lane_lock(v_tenants[1], v_lanes[1]));
    v_mine := '{1}';
  END IF;

  -- A statement of its own: it counts what was claimed under these locks before. Of many lanes each gives a share.
  WITH held AS MATERIALIZED (
    SELECT l.tenant_id, l.lane, count(*) AS n FROM session_leases l WHERE l.worker_id IS NOT NULL GROUP BY 1, 2
  ), room AS MATERIALIZED (
    SELECT k.pool, k.tenant_id, k.lane,
      least(coalesce((p_widths ->> k.lane)::integer, 1) - coalesce(h.n, 0), p_max, 1 + 16 * p_max / cardinality(v_mine)) AS n
    FROM unnest(v_mine) AS m(no)
    CROSS JOIN LATERAL (SELECT v_pools[m.no] AS pool, v_tenants[m.no] AS tenant_id, v_lanes[m.no] AS lane) k
    LEFT JOIN held h ON h.tenant_id = k.tenant_id AND h.lane = k.lane
  ), chosen AS MATERIALIZED (
    SELECT c.tenant_id, c.session_key FROM room r CROSS JOIN LATERAL (
      SELECT l.tenant_id, l.session_key, l.ready_since FROM session_leases l
      WHERE l.ready_since IS NOT NULL AND l.pool = r.pool AND l.tenant_id = r.tenant_id AND l.lane = r.lane
      ORDER BY l.ready_since LIMIT greatest(r.n, 0)
    ) c
    ORDER BY c.ready_since LIMIT p_max
  )
  SELECT array_agg(x.tenant_id), array_agg(x.session_key) INTO v_tenants, v_keys
  FROM chosen c CROSS JOIN LATERAL (
    SELECT l.tenant_id, l.session_key FROM session_leases l
    WHERE l.tenant_id = c.tenant_id AND l.session_key = c.session_key AND l.worker_id IS NULL
    LIMIT 1 FOR UPDATE SKIP LOCKED -- in any order: it waits for none
  ) x;
  IF v_tenants IS NULL THEN RETURN; END IF;
  RETURN QUERY SELECT * FROM start_next(p_worker, v_tenants, v_keys);
END $$;

REVOKE ALL ON FUNCTION lane_lock(text, text), draw_ready_tenant(), claim_ready(text, text[], integer, jsonb)
  FROM PUBLIC;
GRANT EXECUTE ON FUNCTION claim_ready(text, text[], integer, jsonb) TO openclaw_ha_app;
