-- What users do to runs, and runs that are answered without a model (slash commands).
--   compatible: first revision
--   lock: none that matters (new functions)

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

-- Aborts what is open of a session before a reset, unless that reset has been made: then what is open belongs to the new
-- history. See abort_runs; decided under the lease row's lock, which a reset takes as well.
CREATE FUNCTION abort_before_reset(p_tenant text, p_key text, p_message_id text, p_subagents boolean)
RETURNS TABLE (kind text, run jsonb, token bigint, worker_id text)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = openclaw_ha, pg_temp SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
  PERFORM FROM session_leases l WHERE l.tenant_id = p_tenant AND l.session_key = p_key FOR UPDATE;
  PERFORM FROM messages m
  WHERE m.tenant_id = p_tenant AND m.session_key = p_key AND m.message_id = p_message_id AND m.run_id IS NULL;
  IF NOT FOUND THEN RETURN QUERY SELECT * FROM abort_runs(p_tenant, NULL, p_key, p_subagents); END IF;
END $$;

-- Queues an ended run again, behind what its session has queued; its user row is written anew when it starts.
--   returns  run, and ready with pool and lane when the session became ready; no row: unknown run
-- Raises HA002 for a run that cannot be redriven.
CREATE FUNCTION redrive_run(p_tenant text, p_run text) RETURNS TABLE (run jsonb, ready boolean, pool text, lane text)
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

-- Many runs at once, across tenants: what followers poll.
CREATE FUNCTION runs_by_id(p_runs jsonb) RETURNS TABLE (run jsonb)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = openclaw_ha, pg_temp SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET jit = off
AS $$
  SELECT run_record(found) FROM jsonb_to_recordset(p_runs) AS b(t text, r text)
  JOIN runs found ON found.tenant_id = b.t AND found.run_id = b.r
$$;

-- Records a run that has its answer already: idempotency record, run, transcript rows and a change of the session, all
-- or nothing. It takes no place in the session's queue and disturbs no run under way.
--   p        {t: tenant, k: key, s: session key, l: its lane, a: agent, h: request hash (hex), sid: id of a new session, res: result,
--            msgs (see append_work), prev: preview | null, patch: see patch_session}
--   p_seal_threshold  rows of hot tail above which the session is put into seal_queue
--   returns  kind: new (with run, the token to publish its end under, seq and parent_id of its first row), existing
--            (with run), conflict, tenant-disabled
-- Idempotent by key. Locks as accept_runs does: the key, then the lease row.
CREATE FUNCTION answer_run(p jsonb, p_seal_threshold integer)
RETURNS TABLE (kind text, run jsonb, token bigint, first_seq bigint, parent_id text, created_at double precision)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = openclaw_ha, pg_temp SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
  v_tenant text := p ->> 't';
  v_key    text := p ->> 'k';
  v_rows   integer := jsonb_array_length(p -> 'msgs');
  v_now    timestamptz;
  v_pool   text;
  v_known  idempotency_records;
  v_lease  session_leases;
  v_token  bigint;
  v_run    runs;
BEGIN
  SELECT t.pool INTO v_pool FROM tenants t WHERE t.tenant_id = v_tenant AND NOT t.disabled;
  IF NOT FOUND THEN kind := 'tenant-disabled'; RETURN NEXT; RETURN; END IF;
  INSERT INTO idempotency_records (tenant_id, idempotency_key, session_key, request_hash)
  VALUES (v_tenant, v_key, p ->> 's', decode(p ->> 'h', 'hex'))
  ON CONFLICT DO NOTHING; -- waits for a racing request of the same key to commit or vanish
  IF NOT FOUND THEN
    SELECT * INTO v_known FROM idempotency_records i WHERE i.tenant_id = v_tenant AND i.idempotency_key = v_key;
    kind := 'conflict';
    IF v_known.session_key = p ->> 's' AND v_known.request_hash = decode(p ->> 'h', 'hex') THEN
      kind := 'existing';
      SELECT run_record(r) INTO run FROM runs r WHERE r.tenant_id = v_tenant AND r.run_id = v_key;
    END IF;
    RETURN NEXT; RETURN;
  END IF;

  INSERT INTO session_leases (tenant_id, session_key, session_id, pool, lane)
  VALUES (v_tenant, p ->> 's', p ->> 'sid', v_pool, coalesce(p ->> 'l', 'main')) ON CONFLICT DO NOTHING;
  SELECT * INTO v_lease FROM session_leases l WHERE l.tenant_id = v_tenant AND l.session_key = p ->> 's' FOR UPDATE;
  v_now := clock_timestamp();
  UPDATE session_leases l SET session_id = coalesce(l.session_id, p ->> 'sid'), next_order = l.next_order + 1,
    -- As in abort_runs: where nobody holds the session the token is raised; a holder is not fenced.
    fencing_token = l.fencing_token + CASE WHEN l.worker_id IS NULL THEN 1 ELSE 0 END,
    head_seq = l.head_seq + v_rows, head_message_id = coalesce(p -> 'msgs' -> -1 ->> 'id', l.head_message_id)
  WHERE l.tenant_id = v_tenant AND l.session_key = p ->> 's' RETURNING l.fencing_token, l.session_id INTO v_token, v_lease.session_id;
  INSERT INTO sessions (tenant_id, session_key, session_id, agent_id, created_at, updated_at)
  VALUES (v_tenant, p ->> 's', v_lease.session_id, p ->> 'a', v_now, v_now) ON CONFLICT DO NOTHING;
  PERFORM append_work(ARRAY[v_tenant], ARRAY[p ->> 's'], ARRAY[v_key], ARRAY[v_token], ARRAY[v_lease.head_seq],
    ARRAY[v_lease.head_message_id], ARRAY['[]'::jsonb], ARRAY[p -> 'msgs'], v_now);
  INSERT INTO runs (tenant_id, run_id, session_key, session_id, agent_id, lane, run_order, status, attempt, fencing_token,
    user_seq, accepted_at, started_at, ended_at, result)
  VALUES (v_tenant, v_key, p ->> 's', v_lease.session_id, p ->> 'a', coalesce(p ->> 'l', 'main'), v_lease.next_order + 1, 'succeeded', 1, v_token,
    CASE WHEN v_rows > 0 THEN v_lease.head_seq + 1 END, v_now, v_now, v_now, p -> 'res')
  RETURNING * INTO v_run;
  UPDATE sessions s SET updated_at = v_now, last_run_id = v_key, last_preview = coalesce(p ->> 'prev', s.last_preview)
  WHERE s.tenant_id = v_tenant AND s.session_key = p ->> 's';
  IF p ? 'patch' THEN PERFORM patch_session(v_tenant, p ->> 's', p -> 'patch'); END IF;
  IF v_lease.head_seq + v_rows - v_lease.sealed_seq > p_seal_threshold THEN
    INSERT INTO seal_queue (tenant_id, session_key) VALUES (v_tenant, p ->> 's') ON CONFLICT DO NOTHING;
  END IF;
  kind := 'new'; run := run_record(v_run); token := v_token; first_seq := v_lease.head_seq + 1;
  parent_id := v_lease.head_message_id; created_at := epoch_ms(v_now);
  RETURN NEXT;
END $$;

REVOKE ALL ON FUNCTION abort_runs(text, text, text, boolean), abort_before_reset(text, text, text, boolean),
  redrive_run(text, text), runs_by_id(jsonb), answer_run(jsonb, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION abort_runs(text, text, text, boolean), abort_before_reset(text, text, text, boolean),
  redrive_run(text, text), runs_by_id(jsonb), answer_run(jsonb, integer) TO openclaw_ha_app;
