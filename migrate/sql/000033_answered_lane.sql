-- A run that is answered without a model has the lane of its session, as every other.
--   compatible: yes; gateways of the previous release say no lane, which is main as before
--   lock: none that matters (a function)

-- As before (000009); p has l: lane of the session as well.
CREATE OR REPLACE FUNCTION answer_run(p jsonb, p_seal_threshold integer)
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
