-- Subagents: runs that a run has spawned, in sessions of their own, and the announcement of their ends to the parent's.
--   compatible: first revision
--   lock: none that matters (new functions)
--
-- A spawn accepts the child's run and records whose child it is in one statement; an announcement accepts the parent's
-- run and records that it was made in one statement. So neither can happen twice or get lost between two.

-- One child as the processes know it (core/subagent.ts, Subagent).
CREATE FUNCTION subagent(c subagent_runs) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
  SELECT jsonb_build_object('tenant', c.tenant_id, 'runId', c.run_id, 'sessionKey', c.session_key,
    'requesterRunId', c.requester_run_id, 'requesterKey', c.requester_key, 'task', c.task, 'label', c.label, 'cleanup', c.cleanup)
$$;

-- Spawns a child of a granted run.
--   p_spawn       {t: tenant, s: session, r: run, tok: token of the parent; depth: deepest allowed, children: most that may
--                 be open at once; task, label, cleanup; accept: item of accept_runs}
--   returns       one row. kind fenced, too-deep, too-many, or as accept_runs has it; depth of the child
-- Repeatable: a child that was spawned before answers `existing`.
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
  -- Not locked: who lost the session right now is followed by an attempt that spawns the same child.
  PERFORM FROM session_leases l WHERE l.tenant_id = v_tenant AND l.session_key = v_parent
    AND l.run_id = p_spawn ->> 'r' AND l.fencing_token = (p_spawn ->> 'tok')::bigint;
  IF NOT FOUND THEN
    kind := 'fenced';
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
-- that those whose parent has no room stand in nobody's way.
CREATE FUNCTION ended_subagents(p_tenant text, p_run text, p_limit integer)
RETURNS TABLE (child jsonb, run jsonb, requester_exists boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = openclaw_ha, pg_temp SET enable_seqscan = off SET jit = off
AS $$
  SELECT subagent(c), r.record, EXISTS (SELECT FROM sessions s WHERE s.tenant_id = c.tenant_id AND s.session_key = c.requester_key)
  FROM subagent_runs c
  CROSS JOIN LATERAL (
    SELECT run_record(r) AS record FROM runs r
    WHERE r.tenant_id = c.tenant_id AND r.run_id = c.run_id AND r.ended_at IS NOT NULL LIMIT 1) r
  WHERE c.announced_at IS NULL
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

REVOKE ALL ON FUNCTION spawn_subagent(jsonb, integer), ended_subagents(text, text, integer),
  announce_subagents(jsonb, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION spawn_subagent(jsonb, integer), ended_subagents(text, text, integer),
  announce_subagents(jsonb, integer) TO openclaw_ha_app;
