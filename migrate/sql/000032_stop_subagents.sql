-- Stopping a run stops the subagents below it: the mark on them is written with the abort, and whoever comes by carries it out.
--   compatible: yes; a process of the previous release stops no subagents
--   lock: subagent_runs, exclusively, for a moment (a column without a default rewrites nothing)
--
-- Two steps, because a tree of sessions cannot be locked in the order of their keys before it is known. The first one marks
-- every subagent below that is open, under the lease row of the session that is stopped. The second one aborts the marked
-- ones, one session each, and marks what they have spawned meanwhile; a run that is marked as aborted spawns no more.

ALTER TABLE subagent_runs ADD COLUMN stop text CHECK (stop IN ('wanted', 'done'));
COMMENT ON COLUMN subagent_runs.stop IS 'wanted: its session is to be aborted; done: it has been. Nobody is told of its end in either case';

-- Marks the open subagents below a session: all of them, or those that a run of it has spawned with theirs (p_run). What
-- another call holds at this moment is being announced, so its run has ended, or is being marked: it is passed over, so
-- that nothing is waited for under the caller's lease row.
CREATE FUNCTION stop_subagents(p_tenant text, p_key text, p_run text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = openclaw_ha, pg_temp SET enable_seqscan = off SET jit = off
AS $$
DECLARE
  v_runs text[];
BEGIN
  -- From the tenant's open subagents, which are few, up to the session: of those that ended there may be any number.
  WITH RECURSIVE up AS (
    SELECT c.run_id, c.requester_key AS at, c.session_key AS below, 1 AS n
    FROM subagent_runs c WHERE c.tenant_id = p_tenant AND c.announced_at IS NULL
    UNION ALL
    SELECT up.run_id, s.spawned_by, up.at, up.n + 1
    FROM up CROSS JOIN LATERAL (
      SELECT s.spawned_by FROM sessions s WHERE s.tenant_id = p_tenant AND s.session_key = up.at LIMIT 1) s
    WHERE up.at <> p_key AND s.spawned_by IS NOT NULL AND up.n < 100
  )
  SELECT array_agg(x.run_id) INTO v_runs FROM (
    SELECT c.run_id FROM up
    JOIN subagent_runs c ON c.tenant_id = p_tenant AND c.run_id = up.run_id
    WHERE up.at = p_key AND c.announced_at IS NULL AND c.stop IS NULL
      AND (p_run IS NULL OR EXISTS (
        SELECT FROM subagent_runs top WHERE top.tenant_id = p_tenant AND top.requester_key = p_key
          AND top.session_key = up.below AND top.requester_run_id = p_run))
      AND EXISTS (SELECT FROM runs r WHERE r.tenant_id = p_tenant AND r.run_id = up.run_id AND r.ended_at IS NULL)
    ORDER BY c.run_id FOR UPDATE OF c SKIP LOCKED
  ) x;
  UPDATE subagent_runs c SET stop = 'wanted' WHERE c.tenant_id = p_tenant AND c.run_id = ANY (v_runs);
END $$;

DROP FUNCTION abort_runs(text, text, text);

-- Aborts one run (p_run) or every open run of a session (p_key). A queued run ends here; a running one gets a durable
-- mark that its worker sees at its next checkpoint or heartbeat at the latest. p_subagents: those below are marked as to
-- be stopped in the same write.
--   returns  kind aborted (token to publish the terminal event under), requested (worker), ended; no row: unknown
CREATE FUNCTION abort_runs(p_tenant text, p_run text, p_key text, p_subagents boolean DEFAULT false)
RETURNS TABLE (kind text, run jsonb, token bigint, worker_id text)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = openclaw_ha, pg_temp SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
  v_key   text := p_key;
  v_lease session_leases;
  v_run   runs;
  v_token bigint;
BEGIN
  IF p_run IS NOT NULL THEN
    SELECT r.session_key INTO v_key FROM runs r WHERE r.tenant_id = p_tenant AND r.run_id = p_run AND (p_key IS NULL OR r.session_key = p_key);
  END IF;
  SELECT * INTO v_lease FROM session_leases l WHERE l.tenant_id = p_tenant AND l.session_key = v_key FOR UPDATE;
  IF NOT FOUND THEN RETURN; END IF;
  IF p_subagents THEN PERFORM stop_subagents(p_tenant, v_key, p_run); END IF;
  FOR v_run IN
    SELECT * FROM runs r WHERE r.tenant_id = p_tenant
      AND ((p_run IS NOT NULL AND r.run_id = p_run) OR (p_run IS NULL AND r.session_key = v_key AND r.ended_at IS NULL))
    ORDER BY r.run_order
  LOOP
    token := NULL; worker_id := NULL;
    IF v_run.status = 'queued' THEN
      -- Where nobody holds the session the token is raised; a holder is not fenced by the end of another run.
      UPDATE session_leases l SET queued = l.queued - 1,
        fencing_token = l.fencing_token + CASE WHEN l.worker_id IS NULL THEN 1 ELSE 0 END,
        ready_since = CASE WHEN l.queued > 1 THEN l.ready_since END
      WHERE l.tenant_id = p_tenant AND l.session_key = v_key RETURNING l.fencing_token INTO v_token;
      UPDATE runs r SET status = 'aborted', ended_at = clock_timestamp(), abort_requested = true, fencing_token = v_token,
        result = jsonb_build_object('text', '', 'stopReason', 'aborted')
      WHERE r.tenant_id = p_tenant AND r.run_id = v_run.run_id RETURNING * INTO v_run;
      kind := 'aborted'; token := v_token;
    ELSIF v_run.status = 'running' THEN
      UPDATE runs r SET abort_requested = true WHERE r.tenant_id = p_tenant AND r.run_id = v_run.run_id RETURNING * INTO v_run;
      kind := 'requested'; worker_id := v_run.worker_id;
    ELSE
      kind := 'ended';
    END IF;
    run := run_record(v_run);
    RETURN NEXT;
  END LOOP;
END $$;

-- Subagents that are to be stopped and have not been: of one tenant, or some of all.
CREATE FUNCTION stopping_subagents(p_tenant text, p_limit integer) RETURNS TABLE (child jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = openclaw_ha, pg_temp SET enable_seqscan = off SET jit = off
AS $$
  SELECT subagent(c) FROM subagent_runs c
  WHERE c.announced_at IS NULL AND c.stop = 'wanted' AND (p_tenant IS NULL OR c.tenant_id = p_tenant)
  ORDER BY c.created_at LIMIT p_limit
$$;

-- Takes note that the sessions of these were aborted: array of {t: tenant, r: run}.
CREATE FUNCTION stopped_subagents(p_batch jsonb) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = openclaw_ha, pg_temp SET enable_seqscan = off SET jit = off
AS $$
  UPDATE subagent_runs c SET stop = 'done' FROM (
    SELECT c.tenant_id, c.run_id FROM jsonb_to_recordset(p_batch) AS b(t text, r text)
    JOIN subagent_runs c ON c.tenant_id = b.t AND c.run_id = b.r
    WHERE c.stop = 'wanted' ORDER BY c.tenant_id, c.run_id FOR UPDATE OF c) x
  WHERE c.tenant_id = x.tenant_id AND c.run_id = x.run_id
$$;

-- Spawns a child of a granted run; as before (000014), and not of a run that is marked as aborted: kind `stopped`.
CREATE OR REPLACE FUNCTION spawn_subagent(p_spawn jsonb, p_max_queued integer)
RETURNS TABLE (kind text, depth integer, session_id text, pool text, became_ready boolean, accepted_at double precision, run jsonb)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = openclaw_ha, pg_temp SET enable_seqscan = off SET jit = off
AS $$
#variable_conflict use_column
DECLARE
  v_tenant text := p_spawn ->> 't';
  v_parent text := p_spawn ->> 's';
  v_child  text := p_spawn -> 'accept' ->> 'k';
  v_open   integer;
  v_row    record;
BEGIN
  -- Locked, so that a stop either finds the child or comes first and is seen here.
  PERFORM FROM session_leases l WHERE l.tenant_id = v_tenant AND l.session_key = v_parent
    AND l.run_id = p_spawn ->> 'r' AND l.fencing_token = (p_spawn ->> 'tok')::bigint FOR UPDATE;
  IF NOT FOUND THEN
    kind := 'fenced';
    RETURN NEXT;
    RETURN;
  END IF;
  PERFORM FROM runs r WHERE r.tenant_id = v_tenant AND r.run_id = p_spawn ->> 'r' AND r.abort_requested;
  IF FOUND THEN
    kind := 'stopped';
    RETURN NEXT;
    RETURN;
  END IF;
  SELECT coalesce(max(s.spawn_depth), 0) + 1 INTO depth FROM sessions s WHERE s.tenant_id = v_tenant AND s.session_key = v_parent;
  IF NOT EXISTS (SELECT FROM subagent_runs c WHERE c.tenant_id = v_tenant AND c.run_id = v_child) THEN
    IF depth > (p_spawn ->> 'depth')::integer THEN
      kind := 'too-deep';
      RETURN NEXT;
      RETURN;
    END IF;
    SELECT count(*) INTO v_open FROM subagent_runs c
    CROSS JOIN LATERAL (SELECT r.ended_at FROM runs r WHERE r.tenant_id = c.tenant_id AND r.run_id = c.run_id LIMIT 1) r
    WHERE c.tenant_id = v_tenant AND c.requester_key = v_parent AND c.announced_at IS NULL AND r.ended_at IS NULL;
    IF v_open >= (p_spawn ->> 'children')::integer THEN
      kind := 'too-many';
      RETURN NEXT;
      RETURN;
    END IF;
  END IF;
  FOR v_row IN SELECT * FROM accept_runs(jsonb_build_array(p_spawn -> 'accept'), p_max_queued) LOOP
    IF v_row.kind IN ('new', 'existing') THEN
      INSERT INTO subagent_runs (tenant_id, run_id, session_key, requester_run_id, requester_key, task, label, cleanup)
      VALUES (v_tenant, v_child, p_spawn -> 'accept' ->> 's', p_spawn ->> 'r', v_parent, p_spawn ->> 'task', p_spawn ->> 'label', p_spawn ->> 'cleanup')
      ON CONFLICT DO NOTHING;
    END IF;
    IF v_row.kind = 'new' THEN
      UPDATE sessions s SET spawned_by = v_parent, spawn_depth = depth, label = coalesce(s.label, p_spawn ->> 'label')
      WHERE s.tenant_id = v_tenant AND s.session_key = p_spawn -> 'accept' ->> 's';
    END IF;
    kind := v_row.kind; session_id := v_row.session_id; pool := v_row.pool;
    became_ready := v_row.became_ready; accepted_at := v_row.accepted_at; run := v_row.run;
    RETURN NEXT;
  END LOOP;
END $$;

-- Children that have ended and are not announced: one, or some of all tenants that are not shut out. Drawn anew each time, so
-- that those whose parent has no room stand in nobody's way. A requester that has stopped them is as one that is gone.
CREATE OR REPLACE FUNCTION ended_subagents(p_tenant text, p_run text, p_limit integer)
RETURNS TABLE (child jsonb, run jsonb, requester_exists boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = openclaw_ha, pg_temp SET enable_seqscan = off SET jit = off
AS $$
  SELECT subagent(c), r.record, c.stop IS NULL AND
    EXISTS (SELECT FROM sessions s WHERE s.tenant_id = c.tenant_id AND s.session_key = c.requester_key)
  FROM subagent_runs c
  CROSS JOIN LATERAL (
    SELECT run_record(r) AS record FROM runs r
    WHERE r.tenant_id = c.tenant_id AND r.run_id = c.run_id AND r.ended_at IS NOT NULL LIMIT 1) r
  WHERE c.announced_at IS NULL AND c.stop IS DISTINCT FROM 'wanted' -- that is carried out first
    AND (p_run IS NULL OR (c.tenant_id = p_tenant AND c.run_id = p_run))
    AND NOT (SELECT t.disabled FROM tenants t WHERE t.tenant_id = c.tenant_id)
  ORDER BY random() LIMIT p_limit
$$;

REVOKE ALL ON FUNCTION stop_subagents(text, text, text), abort_runs(text, text, text, boolean),
  stopping_subagents(text, integer),
  stopped_subagents(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION abort_runs(text, text, text, boolean), stopping_subagents(text, integer),
  stopped_subagents(jsonb) TO openclaw_ha_app;
