-- Runs that are answered without a model (slash commands), and what of a session has been read.
--   compatible: yes; processes of the previous release show every session as read
--   lock: sessions, for a moment (new columns with a constant default)

-- Rows above read_seq are unread. A position, not a time: no clock says whether a row came before or after its reader.
ALTER TABLE sessions ADD COLUMN read_seq bigint NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN marked_unread_at timestamptz;

-- Changes what a user may change of a session.
--   p        JSON of the columns to set; a column that is not named stays. `unread`: false marks all rows as read, true
--            marks the session as unread until then. `expectedMarkedUnreadAt`: with another mark nothing is changed.
--   returns  whether there is such a session. Runs under the caller's row-level security.
CREATE FUNCTION patch_session(p_tenant text, p_key text, p jsonb) RETURNS boolean
LANGUAGE plpgsql SET search_path = openclaw_ha, pg_temp SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
  UPDATE sessions s SET updated_at = CASE WHEN p - 'unread' - 'expectedMarkedUnreadAt' = '{}' THEN s.updated_at ELSE clock_timestamp() END,
    label = CASE WHEN p ? 'label' THEN p ->> 'label' ELSE s.label END,
    model = CASE WHEN p ? 'model' THEN p ->> 'model' ELSE s.model END,
    thinking_level = CASE WHEN p ? 'thinkingLevel' THEN p ->> 'thinkingLevel' ELSE s.thinking_level END,
    verbose_level = CASE WHEN p ? 'verboseLevel' THEN p ->> 'verboseLevel' ELSE s.verbose_level END,
    queue_mode = CASE WHEN p ? 'queueMode' THEN p ->> 'queueMode' ELSE s.queue_mode END,
    archived = coalesce((p ->> 'archived')::boolean, s.archived),
    pinned = coalesce((p ->> 'pinned')::boolean, s.pinned),
    read_seq = CASE WHEN (p ->> 'unread')::boolean = false
      THEN (SELECT l.head_seq FROM session_leases l WHERE l.tenant_id = p_tenant AND l.session_key = p_key) ELSE s.read_seq END,
    -- Later than every mark before it, so that a reader of an older one cannot take this one away.
    marked_unread_at = CASE (p ->> 'unread')::boolean
      WHEN true THEN greatest(clock_timestamp(), s.marked_unread_at + interval '1 millisecond')
      WHEN false THEN NULL ELSE s.marked_unread_at END
  WHERE s.tenant_id = p_tenant AND s.session_key = p_key
    AND (NOT p ? 'expectedMarkedUnreadAt'
      OR (p ->> 'expectedMarkedUnreadAt')::double precision IS NOT DISTINCT FROM epoch_ms(s.marked_unread_at));
  IF FOUND THEN RETURN true; END IF;
  RETURN EXISTS (SELECT FROM sessions s WHERE s.tenant_id = p_tenant AND s.session_key = p_key);
END $$;

-- Starts a new history of a session once: what was asked for by the same message id before is not done again.
-- Runs under the caller's row-level security. False: no such session.
CREATE FUNCTION reset_session_once(p_tenant text, p_key text, p_message_id text, p_body text) RETURNS boolean
LANGUAGE plpgsql SET search_path = openclaw_ha, pg_temp SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
  PERFORM FROM session_leases l WHERE l.tenant_id = p_tenant AND l.session_key = p_key AND l.session_id IS NOT NULL FOR UPDATE;
  IF NOT FOUND THEN RETURN false; END IF;
  PERFORM FROM messages m
  WHERE m.tenant_id = p_tenant AND m.session_key = p_key AND m.message_id = p_message_id AND m.run_id IS NULL;
  RETURN FOUND OR reset_session(p_tenant, p_key, p_message_id, p_body);
END $$;

-- Records a run that has its answer already: idempotency record, run, transcript rows and a change of the session, all
-- or nothing. It takes no place in the session's queue and disturbs no run under way.
--   p        {t: tenant, k: key, s: session key, a: agent, h: request hash (hex), sid: id of a new session, res: result,
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
  VALUES (v_tenant, p ->> 's', p ->> 'sid', v_pool, 'main') ON CONFLICT DO NOTHING;
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
  VALUES (v_tenant, v_key, p ->> 's', v_lease.session_id, p ->> 'a', 'main', v_lease.next_order + 1, 'succeeded', 1, v_token,
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

REVOKE ALL ON FUNCTION patch_session(text, text, jsonb), reset_session_once(text, text, text, text), answer_run(jsonb, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION patch_session(text, text, jsonb), reset_session_once(text, text, text, text), answer_run(jsonb, integer)
  TO openclaw_ha_app;
