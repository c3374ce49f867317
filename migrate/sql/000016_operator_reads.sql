-- What an operator looks at: the runs under way, the failures of late, and what waits.
--   compatible: first revision
--   lock: none that matters (new functions)

-- Runs that workers execute now, of all tenants, the one that has run longest first, each with its newest step.
CREATE FUNCTION running_runs(p_limit integer) RETURNS TABLE (run jsonb, steps integer, step jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = openclaw_ha, pg_temp SET enable_seqscan = off SET enable_hashjoin = off SET jit = off
AS $$
  SELECT run_record(r), r.steps_done, (
    SELECT jsonb_build_object('kind', s.kind, 'toolName', s.tool_name, 'at', floor(extract(epoch FROM s.created_at) * 1000))
    FROM steps s WHERE s.tenant_id = r.tenant_id AND s.run_id = r.run_id AND s.kind <> 'model' ORDER BY s.step_no DESC LIMIT 1)
  FROM (SELECT tenant_id, run_id FROM session_leases WHERE worker_id IS NOT NULL) l
  CROSS JOIN LATERAL (SELECT * FROM runs x WHERE x.tenant_id = l.tenant_id AND x.run_id = l.run_id LIMIT 1) r
  WHERE r.status = 'running'
  ORDER BY r.started_at, r.run_id LIMIT p_limit
$$;

-- Runs of all tenants that have failed, timed out or died, the last one first.
CREATE FUNCTION failed_runs(p_limit integer) RETURNS TABLE (run jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = openclaw_ha, pg_temp SET enable_seqscan = off SET jit = off
AS $$
  SELECT run_record(r) FROM runs r WHERE r.unsuccessful IN ('failed', 'timed_out', 'dead') ORDER BY r.ended_at DESC LIMIT p_limit
$$;

-- Sessions that wait and sessions that run, by tenant and lane, the lane that has waited longest first. Also of pools that no worker serves.
CREATE FUNCTION lane_backlog(p_limit integer)
RETURNS TABLE (tenant text, pool text, lane text, ready bigint, running bigint, oldest_ready_ms double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = openclaw_ha, pg_temp SET enable_seqscan = off SET jit = off
AS $$
  SELECT x.tenant_id, x.pool, x.lane, count(x.ready_since), count(x.worker_id),
    floor(extract(epoch FROM clock_timestamp() - min(x.ready_since)) * 1000)::double precision
  FROM (
    SELECT tenant_id, pool, lane, ready_since, NULL::text AS worker_id FROM session_leases WHERE ready_since IS NOT NULL
    UNION ALL
    SELECT tenant_id, pool, lane, NULL, worker_id FROM session_leases WHERE worker_id IS NOT NULL
  ) x
  GROUP BY x.tenant_id, x.pool, x.lane
  ORDER BY min(x.ready_since) NULLS LAST, count(x.worker_id) DESC, x.tenant_id, x.lane LIMIT p_limit
$$;

REVOKE ALL ON FUNCTION running_runs(integer), failed_runs(integer), lane_backlog(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION running_runs(integer), failed_runs(integer), lane_backlog(integer) TO openclaw_ha_app;
