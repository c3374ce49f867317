-- What users and operators do to runs, sessions and tenants.
--   compatible: first revision
--   lock: none that matters (new functions)

-- Aborts one run (p_run) or every open run of a session (p_key). A queued run ends here; a running one gets a durable
-- mark that its worker sees at its next checkpoint or heartbeat at the latest.
--   returns  kind aborted (token to publish the terminal event under), requested (worker), ended; no row: unknown
CREATE FUNCTION abort_runs(p_tenant text, p_run text, p_key text)
RETURNS TABLE (kind text, run jsonb, token bigint, worker_id text)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = openclaw_ha, pg_temp SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET jit = off
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

-- Queues an ended run again, behind what its session has queued; its user row is written anew when it starts.
--   returns  run, and ready with pool and lane when the session became ready; no row: unknown run
-- Raises HA002 for a run that cannot be redriven.
CREATE FUNCTION redrive_run(p_tenant text, p_run text) RETURNS TABLE (run jsonb, ready boolean, pool text, lane text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = openclaw_ha, pg_temp SET enable_seqscan = off SET jit = off
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
  UPDATE runs r SET status = 'queued', run_order = v_lease.next_order + 1, user_seq = NULL, worker_id = NULL, failures = 0,
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

-- Starts a new history of a session: its id stays, the revision grows, a system row marks the place.
-- Runs under the caller's row-level security, as the three functions after it do.
CREATE FUNCTION reset_session(p_tenant text, p_key text, p_message_id text, p_body text) RETURNS boolean
LANGUAGE plpgsql SET search_path = openclaw_ha, pg_temp
AS $$
DECLARE
  v_lease session_leases;
BEGIN
  SELECT * INTO v_lease FROM session_leases l WHERE l.tenant_id = p_tenant AND l.session_key = p_key AND l.session_id IS NOT NULL FOR UPDATE;
  IF NOT FOUND THEN RETURN false; END IF;
  INSERT INTO messages (tenant_id, session_key, seq, message_id, parent_id, body)
  VALUES (p_tenant, p_key, v_lease.head_seq + 1, p_message_id, NULL, p_body::json);
  UPDATE session_leases SET head_seq = v_lease.head_seq + 1, reset_seq = v_lease.head_seq, head_message_id = p_message_id
  WHERE tenant_id = p_tenant AND session_key = p_key;
  UPDATE sessions SET lifecycle_revision = lifecycle_revision + 1, updated_at = clock_timestamp(), last_preview = NULL, derived_title = NULL
  WHERE tenant_id = p_tenant AND session_key = p_key;
  INSERT INTO audit_log (tenant_id, action, target) VALUES (p_tenant, 'session.reset', p_key);
  RETURN true;
END $$;

-- Deletes a session and its transcript; its open runs end as aborted, and their holder is fenced.
-- The lease row stays, so that the tokens of a later session under this key go on growing.
CREATE FUNCTION delete_session(p_tenant text, p_key text) RETURNS boolean
LANGUAGE plpgsql SET search_path = openclaw_ha, pg_temp
AS $$
BEGIN
  PERFORM FROM session_leases l WHERE l.tenant_id = p_tenant AND l.session_key = p_key AND l.session_id IS NOT NULL FOR UPDATE;
  IF NOT FOUND THEN RETURN false; END IF;
  UPDATE runs SET status = 'aborted', ended_at = clock_timestamp(), abort_requested = true, fencing_token = fencing_token + 1,
    result = jsonb_build_object('text', '', 'stopReason', 'aborted')
  WHERE tenant_id = p_tenant AND session_key = p_key AND ended_at IS NULL;
  DELETE FROM messages WHERE tenant_id = p_tenant AND session_key = p_key;
  DELETE FROM transcript_segments WHERE tenant_id = p_tenant AND session_key = p_key;
  DELETE FROM seal_queue WHERE tenant_id = p_tenant AND session_key = p_key;
  DELETE FROM sessions WHERE tenant_id = p_tenant AND session_key = p_key;
  UPDATE session_leases SET session_id = NULL, worker_id = NULL, run_id = NULL, queued = 0, ready_since = NULL,
    fencing_token = fencing_token + 1, base_seq = head_seq, reset_seq = head_seq, sealed_seq = head_seq, head_message_id = NULL
  WHERE tenant_id = p_tenant AND session_key = p_key;
  INSERT INTO audit_log (tenant_id, action, target) VALUES (p_tenant, 'session.deleted', p_key);
  RETURN true;
END $$;

-- Creates a session by hand; an existing one is left as it is. Returns whether it was created.
CREATE FUNCTION create_session(p_tenant text, p_key text, p_agent text, p_session_id text, p_via text, p_pool text) RETURNS boolean
LANGUAGE plpgsql SET search_path = openclaw_ha, pg_temp
AS $$
DECLARE
  v_session_id text;
BEGIN
  INSERT INTO session_leases AS l (tenant_id, session_key, session_id, pool, lane)
  VALUES (p_tenant, p_key, p_session_id, p_pool, 'main')
  ON CONFLICT (tenant_id, session_key) DO UPDATE SET session_id = coalesce(l.session_id, excluded.session_id)
  RETURNING l.session_id INTO v_session_id;
  INSERT INTO sessions (tenant_id, session_key, session_id, agent_id, created_via)
  VALUES (p_tenant, p_key, v_session_id, p_agent, p_via) ON CONFLICT DO NOTHING;
  RETURN FOUND;
END $$;

-- Appends a row outside a run, and shows it in lists. A row with the same message id is answered, not doubled.
-- NULL: no such session.
CREATE FUNCTION append_message(p_tenant text, p_key text, p_message_id text, p_idempotency_key text, p_body text, p_sha256 text,
  p_bytes bigint, p_preview text, p_title text)
RETURNS bigint LANGUAGE plpgsql SET search_path = openclaw_ha, pg_temp
AS $$
DECLARE
  v_lease session_leases;
  v_seq   bigint;
BEGIN
  SELECT * INTO v_lease FROM session_leases l WHERE l.tenant_id = p_tenant AND l.session_key = p_key AND l.session_id IS NOT NULL FOR UPDATE;
  IF NOT FOUND THEN RETURN NULL; END IF;
  SELECT m.seq INTO v_seq FROM messages m WHERE m.tenant_id = p_tenant AND m.session_key = p_key AND m.message_id = p_message_id;
  IF FOUND THEN RETURN v_seq; END IF;
  INSERT INTO messages (tenant_id, session_key, seq, message_id, parent_id, idempotency_key, body, object_sha256, object_bytes)
  VALUES (p_tenant, p_key, v_lease.head_seq + 1, p_message_id, v_lease.head_message_id, p_idempotency_key, p_body::json, p_sha256, p_bytes);
  UPDATE session_leases SET head_seq = v_lease.head_seq + 1, head_message_id = p_message_id WHERE tenant_id = p_tenant AND session_key = p_key;
  UPDATE sessions SET updated_at = clock_timestamp(), last_preview = coalesce(p_preview, last_preview),
    derived_title = coalesce(derived_title, p_title)
  WHERE tenant_id = p_tenant AND session_key = p_key;
  RETURN v_lease.head_seq + 1;
END $$;

-- Rows of the hot tail that may move to a segment, oldest first: all but the newest p_keep of each session, at most
-- p_max_rows of them. With p_all the whole table is searched, not only seal_queue.
CREATE FUNCTION seal_candidates(p_keep integer, p_limit integer, p_max_rows integer, p_all boolean) RETURNS TABLE (tenant_id text, session_key text, last_seq bigint, sealed_seq bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = openclaw_ha, pg_temp SET jit = off
AS $$
  SELECT l.tenant_id, l.session_key, least(l.head_seq - p_keep, l.sealed_seq + p_max_rows), l.sealed_seq
  FROM session_leases l
  WHERE l.session_id IS NOT NULL AND l.head_seq - l.sealed_seq > p_keep
    AND (p_all OR (l.tenant_id, l.session_key) IN (SELECT q.tenant_id, q.session_key FROM seal_queue q ORDER BY 1, 2 LIMIT p_limit))
  ORDER BY 1, 2 LIMIT p_limit
$$;

-- Records a segment and empties its rows. Repeating it does nothing; a segment that does not continue the last one is refused.
CREATE FUNCTION seal_rows(p_tenant text, p_key text, p_first bigint, p_last bigint, p_sha256 text, p_bytes bigint, p_threshold integer) RETURNS void
LANGUAGE plpgsql SET search_path = openclaw_ha, pg_temp
AS $$
DECLARE
  v_lease session_leases;
BEGIN
  SELECT * INTO v_lease FROM session_leases l WHERE l.tenant_id = p_tenant AND l.session_key = p_key FOR UPDATE;
  IF NOT FOUND OR v_lease.sealed_seq + 1 <> p_first OR p_last > v_lease.head_seq THEN RETURN; END IF;
  INSERT INTO transcript_segments (tenant_id, session_key, first_seq, last_seq, sha256, bytes)
  VALUES (p_tenant, p_key, p_first, p_last, p_sha256, p_bytes);
  INSERT INTO artifacts (tenant_id, sha256, bytes, kind) VALUES (p_tenant, p_sha256, p_bytes, 'segment') ON CONFLICT DO NOTHING;
  UPDATE messages SET body = NULL WHERE tenant_id = p_tenant AND session_key = p_key AND seq BETWEEN p_first AND p_last;
  UPDATE session_leases SET sealed_seq = p_last WHERE tenant_id = p_tenant AND session_key = p_key;
  IF v_lease.head_seq - p_last <= p_threshold THEN
    DELETE FROM seal_queue WHERE tenant_id = p_tenant AND session_key = p_key;
  END IF;
END $$;

-- Whom a token belongs to. No row: unknown, revoked, expired, or its tenant is disabled.
CREATE FUNCTION authenticate(p_hash bytea) RETURNS TABLE (tenant_id text, scopes text[], pool text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = openclaw_ha, pg_temp
AS $$
  SELECT k.tenant_id, k.scopes, t.pool FROM tokens k JOIN tenants t USING (tenant_id)
  WHERE k.token_hash = p_hash AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > clock_timestamp()) AND NOT t.disabled
$$;

CREATE FUNCTION list_tenants() RETURNS TABLE (tenant_id text, pool text, disabled boolean, created_at double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = openclaw_ha, pg_temp
AS $$
  SELECT t.tenant_id, t.pool, t.disabled, floor(extract(epoch FROM t.created_at) * 1000)::double precision FROM tenants t ORDER BY 1
$$;

-- Operators only: not granted to the application.
CREATE FUNCTION add_tenant(p_tenant text, p_pool text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = openclaw_ha, pg_temp
AS $$
  WITH added AS (INSERT INTO tenants (tenant_id, pool) VALUES (p_tenant, p_pool) ON CONFLICT DO NOTHING RETURNING tenant_id)
  INSERT INTO audit_log (tenant_id, action, target) SELECT tenant_id, 'tenant.added', tenant_id FROM added
$$;

CREATE FUNCTION add_token(p_tenant text, p_hash bytea, p_scopes text[], p_label text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = openclaw_ha, pg_temp
AS $$
  WITH added AS (
    INSERT INTO tokens (token_hash, tenant_id, scopes, label) VALUES (p_hash, p_tenant, p_scopes, p_label) ON CONFLICT DO NOTHING RETURNING tenant_id
  )
  INSERT INTO audit_log (tenant_id, action, target) SELECT tenant_id, 'token.added', p_label FROM added
$$;

-- Makes a token the only one of its label: others of that tenant and label are revoked, and it is valid again if it was.
CREATE FUNCTION replace_token(p_tenant text, p_hash bytea, p_scopes text[], p_label text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = openclaw_ha, pg_temp
AS $$
BEGIN
  PERFORM add_token(p_tenant, p_hash, p_scopes, p_label);
  UPDATE tokens SET revoked_at = CASE WHEN token_hash = p_hash THEN NULL ELSE clock_timestamp() END
  WHERE tenant_id = p_tenant AND label = p_label AND (token_hash = p_hash) = (revoked_at IS NOT NULL);
  IF FOUND THEN
    INSERT INTO audit_log (tenant_id, action, target) VALUES (p_tenant, 'token.replaced', p_label);
  END IF;
END $$;

REVOKE ALL ON FUNCTION abort_runs(text, text, text), redrive_run(text, text), runs_by_id(jsonb), reset_session(text, text, text, text),
  delete_session(text, text), create_session(text, text, text, text, text, text),
  append_message(text, text, text, text, text, text, bigint, text, text), seal_candidates(integer, integer, integer, boolean),
  seal_rows(text, text, bigint, bigint, text, bigint, integer), authenticate(bytea), list_tenants(),
  add_tenant(text, text), add_token(text, bytea, text[], text), replace_token(text, bytea, text[], text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION abort_runs(text, text, text), redrive_run(text, text), runs_by_id(jsonb), reset_session(text, text, text, text),
  delete_session(text, text), create_session(text, text, text, text, text, text),
  append_message(text, text, text, text, text, text, bigint, text, text), seal_candidates(integer, integer, integer, boolean),
  seal_rows(text, text, bigint, bigint, text, bigint, integer), authenticate(bytea), list_tenants() TO openclaw_ha_app;
