-- Changes of a session that depend on what it is, decided where they are written; and how few sessions are found among many.
--   compatible: yes; processes of the previous release compare before they write, and let a label be given twice
--   lock: sessions, against writers, while four indexes are made (seconds for a million sessions)

-- Those that are archived, pinned or labelled are few: what is not in a partial index costs a run nothing.
CREATE INDEX sessions_archived ON sessions (tenant_id, updated_at DESC) WHERE archived;
CREATE INDEX sessions_pinned ON sessions (tenant_id, updated_at DESC) WHERE pinned;
CREATE INDEX sessions_labels ON sessions (tenant_id, label) WHERE label IS NOT NULL;
CREATE INDEX sessions_ids ON sessions (tenant_id, session_id);

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

REVOKE ALL ON FUNCTION change_session(text, text, jsonb), abort_before_reset(text, text, text, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION change_session(text, text, jsonb), abort_before_reset(text, text, text, boolean) TO openclaw_ha_app;

-- As 000015: an index of an empty table tells the planner that there are hardly any rows.
DO $$
BEGIN
  IF EXISTS (SELECT FROM tenants) THEN RETURN; END IF;
  INSERT INTO sessions (tenant_id, session_key, session_id, agent_id, label, archived, pinned)
    SELECT 'example-' || t, 'agent:main:' || s, s::text, 'main', CASE WHEN s % 20 = 0 THEN s::text END, s % 50 = 0, s % 50 = 1
    FROM generate_series(1, 4) t, generate_series(1, 500) s;
  ANALYZE sessions;
  DELETE FROM sessions;
END $$;
