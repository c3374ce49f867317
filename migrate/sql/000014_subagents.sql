-- Subagents: runs that a run has spawned, in sessions of their own, and the announcement of their ends to the parent's.
--   compatible: first revision
--   lock: none that matters (new functions)
--
-- A spawn accepts the child's run and records whose child it is in one statement; an announcement accepts the parent's
-- run and records that it was made in one statement. So neither can happen twice or get lost between two.
--
-- Stopping a run stops the subagents below it, in two steps, because a tree of sessions cannot be locked in the order of
-- their keys before it is known. The first one marks every subagent below that is open, under the lease row of the session
-- that is stopped. The second one aborts the marked ones, one session each, and marks what they have spawned meanwhile; a
-- run that is marked as aborted spawns no more.

-- One child as the processes know it (core/subagent.ts, Subagent).
CREATE FUNCTION subagent(c subagent_runs) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
  SELECT jsonb_build_object('tenant', c.tenant_id, 'runId', c.run_id, 'sessionKey', c.session_key,
    'requesterRunId', c.requester_run_id, 'requesterKey', c.requester_key, 'task', c.task, 'label', c.label, 'cleanup', c.cleanup)
$$;

-- Spawns a child of a granted run; as before (000014), and not of a run that is marked as aborted: kind `stopped`.
CREATE FUNCTION spawn_subagent(p_spawn jsonb, p_max_queued integer)
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
CREATE FUNCTION ended_subagents(p_tenant text, p_run text, p_limit integer)
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

-- Announces ends of children.
--   p_batch  array of {ord, t: tenant, r: child's run, accept: item of accept_runs | null where nobody is left to tell}
--   returns  a row per child that was not announced yet; kind `dropped`, or as accept_runs has it. What is neither new nor
--            existing is left for later.
CREATE FUNCTION announce_subagents(p_batch jsonb, p_max_queued integer)
RETURNS TABLE (ord integer, kind text, session_id text, pool text, became_ready boolean, accepted_at double precision, run jsonb)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = openclaw_ha, pg_temp SET enable_seqscan = off SET jit = off
AS $$
#variable_conflict use_column
DECLARE
  v_items jsonb := '[]';
  v_told  integer[] := '{}';
  v_row   record;
BEGIN
  FOR v_row IN
    SELECT b.item FROM jsonb_array_elements(p_batch) AS b(item)
    JOIN subagent_runs c ON c.tenant_id = b.item ->> 't' AND c.run_id = b.item ->> 'r'
    WHERE c.announced_at IS NULL
    ORDER BY c.tenant_id, c.run_id FOR UPDATE OF c
  LOOP
    IF jsonb_typeof(v_row.item -> 'accept') = 'object' THEN
      v_items := v_items || (v_row.item -> 'accept');
    ELSE
      UPDATE subagent_runs c SET announced_at = clock_timestamp()
      WHERE c.tenant_id = v_row.item ->> 't' AND c.run_id = v_row.item ->> 'r';
      ord := (v_row.item ->> 'ord')::integer; kind := 'dropped';
      RETURN NEXT;
    END IF;
  END LOOP;
  IF v_items = '[]' THEN RETURN; END IF;
  FOR v_row IN SELECT * FROM accept_runs(v_items, p_max_queued) LOOP
    IF v_row.kind IN ('new', 'existing') THEN v_told := v_told || v_row.ord; END IF;
    ord := v_row.ord; kind := v_row.kind; session_id := v_row.session_id; pool := v_row.pool;
    became_ready := v_row.became_ready; accepted_at := v_row.accepted_at; run := v_row.run;
    RETURN NEXT;
  END LOOP;
  UPDATE subagent_runs c SET announced_at = clock_timestamp(), announcement = b.accept ->> 'k'
  FROM jsonb_to_recordset(p_batch) AS b(ord integer, t text, r text, accept jsonb)
  WHERE b.ord = ANY (v_told) AND c.tenant_id = b.t AND c.run_id = b.r;
END $$;

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

REVOKE ALL ON FUNCTION spawn_subagent(jsonb, integer), ended_subagents(text, text, integer),
  announce_subagents(jsonb, integer), stop_subagents(text, text, text), stopping_subagents(text, integer),
  stopped_subagents(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION spawn_subagent(jsonb, integer), ended_subagents(text, text, integer),
  announce_subagents(jsonb, integer), stopping_subagents(text, integer), stopped_subagents(jsonb) TO openclaw_ha_app;
