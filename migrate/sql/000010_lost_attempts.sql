-- A run is buried also when it has lost too many attempts in all: failures in a row are forgotten with every message, so
-- a run that stores an answer of the model and then kills its worker in a tool took down a worker for each of its steps.
--   compatible: yes (the column has a default; the functions keep their arguments)
--   lock: runs, exclusively, for a moment (a column with a constant default rewrites nothing)

ALTER TABLE runs ADD COLUMN losses integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN runs.losses IS 'attempts lost in all since the run was accepted or redriven; progress does not reset it';

-- Takes sessions away from holders that are not alive: their run goes back to the queue at its old place, or is
-- buried after p_max_failures attempts lost in a row or three times as many in all; with p_bury false such a session is
-- left for a sweep, which announces the end. The token is raised, so that the old holder is fenced at once.
-- Caller holds the lease rows. Returns one row per session taken.
CREATE OR REPLACE FUNCTION recover_sessions(p_tenants text[], p_keys text[], p_max_failures integer, p_bury boolean)
RETURNS TABLE (tenant_id text, session_key text, pool text, lane text, ready boolean, token bigint, buried jsonb)
LANGUAGE sql SECURITY DEFINER
SET search_path = openclaw_ha, pg_temp SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET jit = off
AS $$
  WITH lost AS MATERIALIZED (
    SELECT l.tenant_id, l.session_key, l.fencing_token + 1 AS token, l.run_id, l.worker_id,
      r.run_id IS NOT NULL AND w.state IS DISTINCT FROM 'retired' AND too_many.is_so AS bury,
      w.state IS DISTINCT FROM 'retired' AS failed,
      CASE WHEN r.run_id IS NULL THEN 0 ELSE 1 END AS has_run
    FROM unnest(p_tenants, p_keys) AS k(t, s)
    JOIN session_leases l ON l.tenant_id = k.t AND l.session_key = k.s
    LEFT JOIN workers w ON w.worker_id = l.worker_id
    LEFT JOIN runs r ON r.tenant_id = l.tenant_id AND r.run_id = l.run_id AND r.ended_at IS NULL
    CROSS JOIN LATERAL (
      SELECT r.failures + 1 >= p_max_failures OR r.losses + 1 >= 3 * p_max_failures::bigint AS is_so
    ) too_many
    WHERE l.worker_id IS NOT NULL AND w.state IS DISTINCT FROM 'live'
      AND (p_bury OR r.run_id IS NULL OR w.state = 'retired' OR NOT too_many.is_so)
  ), requeued AS (
    UPDATE runs r SET status = 'queued', worker_id = NULL, failures = r.failures + x.failed::integer,
      losses = r.losses + x.failed::integer
    FROM lost x WHERE NOT x.bury AND r.tenant_id = x.tenant_id AND r.run_id = x.run_id AND r.ended_at IS NULL
  ), buried AS (
    UPDATE runs r SET status = 'dead', failures = r.failures + 1, losses = r.losses + 1, ended_at = clock_timestamp(),
      fencing_token = x.token,
      error = jsonb_build_object('kind', 'worker_lost', 'message', format(
        'the run took down %s, the last one %s; look at its log, then redrive the run',
        CASE WHEN r.failures + 1 >= p_max_failures THEN format('%s workers in a row', r.failures + 1)
             ELSE format('%s workers in all', r.losses + 1) END, x.worker_id))
    FROM lost x WHERE x.bury AND r.tenant_id = x.tenant_id AND r.run_id = x.run_id
    RETURNING r.tenant_id, r.session_key, run_record(r) AS record
  ), audited AS (
    INSERT INTO audit_log (tenant_id, action, target, details)
    SELECT tenant_id, 'run.buried', record ->> 'runId', record -> 'error' FROM buried
  ), freed AS (
    UPDATE session_leases l SET worker_id = NULL, run_id = NULL, fencing_token = x.token,
      queued = l.queued + CASE WHEN x.bury THEN 0 ELSE x.has_run END,
      ready_since = CASE WHEN l.queued + CASE WHEN x.bury THEN 0 ELSE x.has_run END > 0 THEN clock_timestamp() END
    FROM lost x WHERE l.tenant_id = x.tenant_id AND l.session_key = x.session_key
    RETURNING l.tenant_id, l.session_key, l.pool, l.lane, l.ready_since IS NOT NULL AS ready, l.fencing_token
  )
  SELECT f.tenant_id, f.session_key, f.pool, f.lane, f.ready, f.fencing_token, b.record
  FROM freed f LEFT JOIN buried b ON b.tenant_id = f.tenant_id AND b.session_key = f.session_key
$$;

-- Queues an ended run again, behind what its session has queued; its user row is written anew when it starts.
--   returns  run, and ready with pool and lane when the session became ready; no row: unknown run
-- Raises HA002 for a run that cannot be redriven.
CREATE OR REPLACE FUNCTION redrive_run(p_tenant text, p_run text) RETURNS TABLE (run jsonb, ready boolean, pool text, lane text)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = openclaw_ha, pg_temp SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
  v_lease session_leases;
  v_run   runs;
BEGIN
  SELECT l.* INTO v_lease FROM runs r JOIN session_leases l ON l.tenant_id = r.tenant_id AND l.session_key = r.session_key
  WHERE r.tenant_id = p_tenant AND r.run_id = p_run FOR UPDATE OF l;
  IF NOT FOUND THEN RETURN; END IF;
  SELECT * INTO v_run FROM runs r WHERE r.tenant_id = p_tenant AND r.run_id = p_run;
  IF v_run.status NOT IN ('failed', 'timed_out', 'dead') THEN
    RAISE EXCEPTION 'a % run cannot be redriven', v_run.status USING ERRCODE = 'HA002';
  END IF;
  INSERT INTO sessions (tenant_id, session_key, session_id, agent_id)
  VALUES (p_tenant, v_run.session_key, v_run.session_id, v_run.agent_id) ON CONFLICT DO NOTHING;
  UPDATE session_leases l SET queued = l.queued + 1, next_order = l.next_order + 1,
    session_id = coalesce(l.session_id, v_run.session_id),
    lane = CASE WHEN l.queued = 0 AND l.worker_id IS NULL THEN v_run.lane ELSE l.lane END,
    ready_since = CASE WHEN l.worker_id IS NULL THEN coalesce(l.ready_since, clock_timestamp()) END
  WHERE l.tenant_id = p_tenant AND l.session_key = v_run.session_key;
  UPDATE runs r SET status = 'queued', run_order = v_lease.next_order + 1, user_seq = NULL, worker_id = NULL, failures = 0, losses = 0,
    steps_done = 0, abort_requested = false, started_at = NULL, ended_at = NULL, result = NULL, error = NULL
  WHERE r.tenant_id = p_tenant AND r.run_id = p_run RETURNING * INTO v_run;
  DELETE FROM steps s WHERE s.tenant_id = p_tenant AND s.run_id = p_run;
  INSERT INTO audit_log (tenant_id, action, target) VALUES (p_tenant, 'run.redriven', p_run);
  RETURN QUERY SELECT run_record(v_run), v_lease.worker_id IS NULL AND v_lease.queued = 0, v_lease.pool, v_run.lane;
END $$;
