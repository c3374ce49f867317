-- What an operator looks at: the runs under way, the failures of late, and ended runs by session and by outcome, without reading a tenant's
-- every run.
--   compatible: yes; the previous release names its columns when it inserts runs
--   lock: ACCESS EXCLUSIVE on runs while the column is added, which writes the table once, and while its indexes are made
--
-- An index on `status` would make a new index entry of every claim, as every change of an indexed column does. This column is NULL until
-- the run has ended, and stays so where it succeeded: a claim changes nothing that is indexed, and an ordinary run has no entry.
ALTER TABLE runs ADD COLUMN unsuccessful text
  GENERATED ALWAYS AS (CASE WHEN ended_at IS NOT NULL AND status <> 'succeeded' THEN status END) STORED;
COMMENT ON COLUMN runs.unsuccessful IS 'status of a run that has ended otherwise than well; NULL for all others';
CREATE INDEX runs_unsuccessful ON runs (tenant_id, unsuccessful, accepted_at DESC) WHERE unsuccessful IS NOT NULL;
CREATE INDEX runs_failed_lately ON runs (ended_at DESC) WHERE unsuccessful IN ('failed', 'timed_out', 'dead');
-- Beside runs_open, which has those that have not ended: each run is in one of the two.
CREATE INDEX runs_of_session ON runs (tenant_id, session_key, accepted_at DESC) WHERE ended_at IS NOT NULL;

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

-- As 000015, for the table that these indexes have made the planner forget.
DO $$
BEGIN
  IF EXISTS (SELECT FROM tenants) THEN RETURN; END IF;
  INSERT INTO runs (tenant_id, run_id, session_key, session_id, agent_id, lane, run_order, status, accepted_at, ended_at)
    SELECT 'example-' || t, 'agent:main:' || s || r, 'agent:main:' || s, s::text, 'main', 'main', r,
      CASE WHEN r = 2 AND s % 50 = 0 THEN 'running' WHEN s % 100 = 1 THEN 'failed' ELSE 'succeeded' END, clock_timestamp() + r * interval '1 ms',
      CASE WHEN r = 2 AND s % 50 = 0 THEN NULL ELSE clock_timestamp() END
    FROM generate_series(1, 4) t, generate_series(1, 500) s, generate_series(1, 2) r;
  ANALYZE runs;
  DELETE FROM runs;
END $$;
