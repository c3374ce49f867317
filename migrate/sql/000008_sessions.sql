-- What users do to sessions.
--   compatible: first revision
--   lock: none that matters (new functions)

-- Starts a new history of a session: its id stays, the revision grows, a system row marks the place.
-- Runs under the caller's row-level security, as all functions of this file do.
CREATE FUNCTION reset_session(p_tenant text, p_key text, p_message_id text, p_body text) RETURNS boolean
LANGUAGE plpgsql SET search_path = openclaw_ha, pg_temp SET plan_cache_mode = force_generic_plan
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

-- Deletes a session and its transcript; its open runs end as aborted, and their holder is fenced.
-- The lease row stays, so that the tokens of a later session under this key go on growing.
CREATE FUNCTION delete_session(p_tenant text, p_key text) RETURNS boolean
LANGUAGE plpgsql SET search_path = openclaw_ha, pg_temp SET plan_cache_mode = force_generic_plan
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
LANGUAGE plpgsql SET search_path = openclaw_ha, pg_temp SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
  v_session_id text;
BEGIN
  PERFORM check_new_session(p_tenant, p_key);
  INSERT INTO session_leases AS l (tenant_id, session_key, session_id, pool, lane)
  VALUES (p_tenant, p_key, p_session_id, p_pool, 'main')
  ON CONFLICT (tenant_id, session_key) DO UPDATE SET session_id = coalesce(l.session_id, excluded.session_id)
  RETURNING l.session_id INTO v_session_id;
  INSERT INTO sessions (tenant_id, session_key, session_id, agent_id, created_via)
  VALUES (p_tenant, p_key, v_session_id, p_agent, p_via) ON CONFLICT DO NOTHING;
  RETURN FOUND;
END $$;

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

-- Changes what a user may change of a session, where it is what the user believes.
--   p        see patch_session; beside it `expectedSessionId` and `expectedLifecycleRevision`
--   returns  changed, missing (no such session), session-changed (it is not the one expected, or not its history),
--            label-taken (by another session of the agent), archived (it cannot be pinned)
-- Runs under the caller's row-level security. A label's lock is taken before the row's: of two sessions that want it at
-- once, one sees that the other has it.
CREATE FUNCTION change_session(p_tenant text, p_key text, p jsonb) RETURNS text
LANGUAGE plpgsql SET search_path = openclaw_ha, pg_temp SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
  v_label   text := p ->> 'label';
  v_session sessions;
BEGIN
  IF v_label IS NOT NULL THEN
    PERFORM pg_advisory_xact_lock(hashtextextended('label ' || p_tenant || ' ' || v_label, 0));
  END IF;
  SELECT * INTO v_session FROM sessions s WHERE s.tenant_id = p_tenant AND s.session_key = p_key FOR UPDATE;
  IF NOT FOUND THEN RETURN 'missing'; END IF;
  IF v_session.session_id <> p ->> 'expectedSessionId'
    OR v_session.lifecycle_revision::text <> p ->> 'expectedLifecycleRevision' THEN RETURN 'session-changed'; END IF;
  IF EXISTS (SELECT FROM sessions s WHERE s.tenant_id = p_tenant AND s.label = v_label
    AND s.agent_id = v_session.agent_id AND s.session_key <> p_key) THEN RETURN 'label-taken'; END IF;
  IF (p ->> 'pinned')::boolean AND coalesce((p ->> 'archived')::boolean, v_session.archived) THEN RETURN 'archived'; END IF;
  -- What is put away is not at the top of the list any more.
  PERFORM patch_session(p_tenant, p_key,
    p - 'expectedSessionId' - 'expectedLifecycleRevision' || CASE WHEN (p ->> 'archived')::boolean THEN '{"pinned": false}' ELSE '{}' END::jsonb);
  RETURN 'changed';
END $$;

-- Appends a row outside a run, and shows it in lists. A row appended before with the same message id is answered, not
-- doubled. NULL: no such session.
--   p_seal_threshold  rows of hot tail above which the session is put into seal_queue
CREATE FUNCTION append_message(p_tenant text, p_key text, p_message_id text, p_idempotency_key text, p_body text, p_sha256 text,
  p_bytes bigint, p_preview text, p_title text, p_seal_threshold integer)
RETURNS bigint LANGUAGE plpgsql
SET search_path = openclaw_ha, pg_temp SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
  v_lease session_leases;
  v_seq   bigint;
BEGIN
  SELECT * INTO v_lease FROM session_leases l WHERE l.tenant_id = p_tenant AND l.session_key = p_key AND l.session_id IS NOT NULL FOR UPDATE;
  IF NOT FOUND THEN RETURN NULL; END IF;
  SELECT m.seq INTO v_seq FROM messages m
  WHERE m.tenant_id = p_tenant AND m.session_key = p_key AND m.message_id = p_message_id AND m.run_id IS NULL;
  IF FOUND THEN RETURN v_seq; END IF;
  v_seq := v_lease.head_seq + 1;
  INSERT INTO messages (tenant_id, session_key, seq, message_id, parent_id, idempotency_key, body, object_sha256, object_bytes)
  VALUES (p_tenant, p_key, v_seq, p_message_id, v_lease.head_message_id, p_idempotency_key, p_body::json, p_sha256, p_bytes);
  UPDATE session_leases SET head_seq = v_seq, head_message_id = p_message_id WHERE tenant_id = p_tenant AND session_key = p_key;
  UPDATE sessions SET updated_at = clock_timestamp(), last_preview = coalesce(p_preview, last_preview),
    derived_title = coalesce(derived_title, p_title)
  WHERE tenant_id = p_tenant AND session_key = p_key;
  IF v_seq - v_lease.sealed_seq > p_seal_threshold THEN
    INSERT INTO seal_queue (tenant_id, session_key) VALUES (p_tenant, p_key) ON CONFLICT DO NOTHING;
  END IF;
  RETURN v_seq;
END $$;

REVOKE ALL ON FUNCTION reset_session(text, text, text, text), reset_session_once(text, text, text, text),
  delete_session(text, text), create_session(text, text, text, text, text, text), patch_session(text, text, jsonb),
  change_session(text, text, jsonb), append_message(text, text, text, text, text, text, bigint, text, text, integer)
  FROM PUBLIC;
GRANT EXECUTE ON FUNCTION reset_session(text, text, text, text), reset_session_once(text, text, text, text),
  delete_session(text, text), create_session(text, text, text, text, text, text), patch_session(text, text, jsonb),
  change_session(text, text, jsonb), append_message(text, text, text, text, text, text, bigint, text, text, integer)
  TO openclaw_ha_app;
