-- Tenants move between pools while they run: the tenant's row says whose workers may take its sessions, and a grant looks
-- at that row. The pool of a lease row only says where the session waits.
--   compatible: yes (same names, arguments and answers)
--   lock: none that matters (functions replaced)

-- Puts the pool of the tenant into lease rows that have another one: of a request that was accepted while the tenant was
-- being moved. Caller holds the lease rows.
CREATE FUNCTION follow_pools(p_tenants text[], p_keys text[]) RETURNS void
LANGUAGE sql SECURITY DEFINER
SET search_path = openclaw_ha, pg_temp SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
  UPDATE session_leases l SET pool = x.pool
  FROM (
    SELECT k.t, k.s, (SELECT t.pool FROM tenants t WHERE t.tenant_id = k.t) AS pool FROM unnest(p_tenants, p_keys) AS k(t, s)
  ) x
  WHERE l.tenant_id = x.t AND l.session_key = x.s AND l.pool <> x.pool
$$;

-- Starts the oldest queued run of each session given and returns its grant: raises the token, writes the user row where
-- there is none yet. Caller holds the lease rows. Considers only sessions without a current run; p_worker gets the lease.
-- A run of mode collect takes those behind it along. A session is refused to a worker that does not serve its tenant's pool.
-- LATERAL with LIMIT: each row is fetched by its whole key, whatever the planner believes of the tables.
CREATE OR REPLACE FUNCTION start_next(p_worker text, p_tenants text[], p_keys text[]) RETURNS SETOF session_grant
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = openclaw_ha, pg_temp SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
  v_now   timestamptz := clock_timestamp();
  v_grant session_grant;
  v_count integer := 0;
BEGIN
  FOR v_grant IN
  WITH next AS MATERIALIZED (
    SELECT l.tenant_id, l.session_key, l.fencing_token + 1 AS token, l.pool, l.head_seq, l.reset_seq, l.head_message_id AS parent_id,
      r.run_id, r.session_id, r.agent_id, r.lane, r.attempt + 1 AS attempt, r.failures, r.options, r.input_body, r.input_sha256,
      r.input_bytes, r.accepted_at, coalesce(r.started_at, v_now) AS started_at, r.steps_done, r.abort_requested,
      r.user_seq IS NULL AS first, r.attempt = 0 AND r.queue_mode = 'collect' AS collects, coalesce(r.user_seq, l.head_seq + 1) AS user_seq,
      r.run_id || ':user' || CASE WHEN r.attempt > 0 AND r.user_seq IS NULL THEN ':' || r.attempt ELSE '' END AS user_message_id
    FROM unnest(p_tenants, p_keys) AS k(t, s)
    CROSS JOIN LATERAL (SELECT * FROM session_leases l WHERE l.tenant_id = k.t AND l.session_key = k.s LIMIT 1) l
    CROSS JOIN LATERAL (
      SELECT * FROM runs r
      WHERE r.tenant_id = l.tenant_id AND r.session_key = l.session_key AND r.ended_at IS NULL AND r.status = 'queued'
      ORDER BY r.run_order LIMIT 1
    ) r
    WHERE l.run_id IS NULL AND (l.worker_id IS NULL OR l.worker_id = p_worker)
      AND (SELECT t.pool FROM tenants t WHERE t.tenant_id = k.t) = ANY ((SELECT w.pools FROM workers w WHERE w.worker_id = p_worker)::text[])
  ), user_rows AS (
    INSERT INTO messages (tenant_id, session_key, seq, message_id, parent_id, run_id, idempotency_key, body, object_sha256, object_bytes, created_at)
    SELECT n.tenant_id, n.session_key, n.user_seq, n.user_message_id, n.parent_id, n.run_id, n.run_id || ':user',
      n.input_body, n.input_sha256, n.input_bytes, v_now
    FROM next n WHERE n.first
  ), started AS (
    UPDATE runs r SET status = 'running', attempt = n.attempt, fencing_token = n.token, worker_id = p_worker,
      checkpoint_no = 0, user_seq = n.user_seq, started_at = n.started_at
    FROM next n WHERE r.tenant_id = n.tenant_id AND r.run_id = n.run_id
  ), leased AS (
    UPDATE session_leases l SET worker_id = p_worker, run_id = n.run_id, fencing_token = n.token, lane = n.lane,
      queued = l.queued - 1, ready_since = NULL, head_seq = CASE WHEN n.first THEN n.user_seq ELSE l.head_seq END,
      head_message_id = CASE WHEN n.first THEN n.user_message_id ELSE l.head_message_id END
    FROM next n WHERE l.tenant_id = n.tenant_id AND l.session_key = n.session_key
  )
  SELECT n.tenant_id, n.session_key, n.run_id, n.token, n.session_id, n.agent_id, n.lane, n.pool, n.attempt, n.failures,
    n.options, n.input_body, n.input_sha256, n.input_bytes, epoch_ms(n.accepted_at), epoch_ms(n.started_at),
    n.user_seq, coalesce(m.message_id, n.user_message_id), CASE WHEN n.first THEN n.parent_id ELSE m.parent_id END,
    epoch_ms(coalesce(m.created_at, v_now)), CASE WHEN n.first THEN n.user_seq ELSE n.head_seq END, n.reset_seq,
    s.model, s.thinking_level, n.steps_done, n.abort_requested,
    CASE WHEN n.attempt > 1 AND n.steps_done > 0 THEN open_tools(n.tenant_id, n.run_id) END,
    CASE WHEN n.collects THEN '[]'::jsonb END
  FROM next n
  LEFT JOIN LATERAL (
    SELECT s.model, s.thinking_level FROM sessions s WHERE s.tenant_id = n.tenant_id AND s.session_key = n.session_key LIMIT 1
  ) s ON true
  LEFT JOIN LATERAL (
    SELECT m.message_id, m.parent_id, m.created_at FROM messages m
    WHERE NOT n.first AND m.tenant_id = n.tenant_id AND m.session_key = n.session_key AND m.seq = n.user_seq LIMIT 1
  ) m ON true
  LOOP
    IF v_grant.collected IS NOT NULL THEN
      v_grant := collect_queued(v_grant, v_now);
    END IF;
    v_count := v_count + 1;
    RETURN NEXT v_grant;
  END LOOP;
  IF v_count < cardinality(p_keys) THEN
    PERFORM follow_pools(p_tenants, p_keys);
  END IF;
END $$;

-- Ends granted runs; takes the next run of each session for the same worker, or releases the lease: so no
-- wake-up is lost. Of a tenant that another pool serves by now the lease is released.
--   p_batch           array of {ord, t, s, r, tok, st: status, res, err, steps, msgs, next: boolean, prev: preview | null,
--                     tin, tout: tokens}
--   p_seal_threshold  rows of hot tail above which the session is put into seal_queue
--   returns           ord; first_seq and parent_id of the messages; head_seq; created_at; ready (more is queued and was
--                     not taken) with pool and lane; the next grant, or NULL. No row: fenced.
-- Repeatable: a run that ended under this token answers again, with the same next grant while that is running.
CREATE OR REPLACE FUNCTION finish_runs(p_batch jsonb, p_seal_threshold integer)
RETURNS TABLE (ord integer, first_seq bigint, parent_id text, head_seq bigint, created_at double precision, ready boolean,
  ready_pool text, ready_lane text, next session_grant)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = openclaw_ha, pg_temp SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
  v_now     timestamptz := clock_timestamp();
  v_next    session_grant[] := '{}';
  v_took    boolean := false;
  v_ords    integer[];
  v_tenants text[];
  v_keys    text[];
  v_runs    text[];
  v_tokens  bigint[];
  v_heads   bigint[];
  v_parents text[];
  v_workers text[];
  v_more    boolean[];
  v_states  text[];
  v_results jsonb[];
  v_errors  jsonb[];
  v_steps   jsonb[];
  v_msgs    jsonb[];
  v_previews text[];
  v_inputs  bigint[];
  v_outputs bigint[];
  v_row     record;
BEGIN
  SELECT array_agg(x.ord), array_agg(x.t), array_agg(x.s), array_agg(x.r), array_agg(x.tok), array_agg(x.head_seq),
    array_agg(x.head_message_id), array_agg(x.worker_id), array_agg(x.more), array_agg(x.st), array_agg(x.res),
    array_agg(x.err), array_agg(x.steps), array_agg(x.msgs), array_agg(x.prev), array_agg(x.tin), array_agg(x.tout)
  INTO v_ords, v_tenants, v_keys, v_runs, v_tokens, v_heads, v_parents, v_workers, v_more, v_states, v_results,
    v_errors, v_steps, v_msgs, v_previews, v_inputs, v_outputs
  FROM (
    SELECT b.*, l.head_seq, l.head_message_id, l.worker_id, CASE WHEN l.queued > 0 AND b.next THEN EXISTS (
      SELECT FROM workers w WHERE w.worker_id = l.worker_id AND (SELECT t.pool FROM tenants t WHERE t.tenant_id = b.t) = ANY (w.pools))
      ELSE false END AS more
    FROM jsonb_to_recordset(p_batch) AS b(ord integer, t text, s text, r text, tok bigint, st text, res jsonb, err jsonb,
      steps jsonb, msgs jsonb, next boolean, prev text, tin bigint, tout bigint)
    JOIN session_leases l ON l.tenant_id = b.t AND l.session_key = b.s AND l.fencing_token = b.tok AND l.run_id = b.r
    ORDER BY l.tenant_id, l.session_key FOR UPDATE OF l
  ) x;
  IF v_ords IS NOT NULL THEN
    PERFORM append_work(v_tenants, v_keys, v_runs, v_tokens, v_heads, v_parents, v_steps, v_msgs, v_now);
    -- One statement, each row found once: what the later parts need comes with RETURNING.
    RETURN QUERY
      WITH ended AS (
        UPDATE runs r SET status = i.st, ended_at = v_now, worker_id = i.w, result = i.res, error = i.err,
          steps_done = r.steps_done + jsonb_array_length(i.steps)
        FROM unnest(v_tenants, v_keys, v_runs, v_states, v_results, v_errors, v_steps, v_workers, v_previews, v_inputs, v_outputs)
          AS i(t, s, r, st, res, err, steps, w, prev, tin, tout)
        WHERE r.tenant_id = i.t AND r.run_id = i.r
        RETURNING i.t, i.s, i.r, i.prev, i.tin, i.tout, r.title
      ), shown AS (
        UPDATE sessions s SET updated_at = v_now, last_run_id = e.r, last_preview = coalesce(e.prev, s.last_preview),
          derived_title = coalesce(s.derived_title, e.title),
          input_tokens = s.input_tokens + coalesce(e.tin, 0), output_tokens = s.output_tokens + coalesce(e.tout, 0)
        FROM ended e WHERE s.tenant_id = e.t AND s.session_key = e.s
      ), freed AS (
        UPDATE session_leases l SET run_id = NULL, worker_id = CASE WHEN i.more THEN l.worker_id END,
          ready_since = CASE WHEN NOT i.more AND l.queued > 0 THEN v_now END,
          head_seq = i.head + jsonb_array_length(i.msgs), head_message_id = coalesce(i.msgs -> -1 ->> 'id', l.head_message_id)
        FROM unnest(v_ords, v_tenants, v_keys, v_heads, v_parents, v_msgs, v_more) AS i(ord, t, s, head, parent, msgs, more)
        WHERE l.tenant_id = i.t AND l.session_key = i.s
        RETURNING i.ord, i.head, i.parent, i.more, l.tenant_id, l.session_key, l.head_seq, l.sealed_seq, l.ready_since, l.pool, l.lane
      ), grown AS (
        INSERT INTO seal_queue (tenant_id, session_key)
        SELECT f.tenant_id, f.session_key FROM freed f WHERE f.head_seq - f.sealed_seq > p_seal_threshold
        ORDER BY 1, 2 ON CONFLICT DO NOTHING
      )
      SELECT f.ord, f.head + 1, f.parent, f.head_seq, epoch_ms(v_now), f.ready_since IS NOT NULL, f.pool, f.lane, NULL::session_grant
      FROM freed f WHERE NOT f.more;
    FOR v_row IN
      SELECT i.w, array_agg(i.t) AS tenants, array_agg(i.s) AS keys
      FROM unnest(v_tenants, v_keys, v_workers, v_more) AS i(t, s, w, more) WHERE i.more GROUP BY i.w
    LOOP
      v_next := v_next || ARRAY(SELECT g FROM start_next(v_row.w, v_row.tenants, v_row.keys) g);
      v_took := true;
    END LOOP;
    IF cardinality(v_next) < cardinality(array_remove(v_more, false)) THEN
      -- The tenant was moved since the leases were read: nobody may keep what it is not granted.
      UPDATE session_leases l SET worker_id = NULL, ready_since = v_now
      FROM unnest(v_tenants, v_keys, v_more) AS i(t, s, more)
      WHERE i.more AND l.tenant_id = i.t AND l.session_key = i.s AND l.run_id IS NULL AND l.queued > 0;
    END IF;
    IF v_took THEN
      RETURN QUERY
        SELECT i.ord, i.head + 1, i.parent, l.head_seq, epoch_ms(v_now), l.ready_since IS NOT NULL, l.pool, l.lane,
          (SELECT g FROM unnest(v_next) g WHERE g.tenant_id = i.t AND g.session_key = i.s)
        FROM unnest(v_ords, v_tenants, v_keys, v_heads, v_parents, v_more) AS i(ord, t, s, head, parent, more)
        CROSS JOIN LATERAL (SELECT * FROM session_leases l WHERE l.tenant_id = i.t AND l.session_key = i.s LIMIT 1) l
        WHERE i.more;
    END IF;
  END IF;
  IF coalesce(cardinality(v_ords), 0) < jsonb_array_length(p_batch) THEN
    RETURN QUERY
      SELECT b.ord, m.seq, m.parent_id, l.head_seq, floor(extract(epoch FROM coalesce(m.created_at, r.ended_at)) * 1000)::double precision,
        l.ready_since IS NOT NULL, l.pool, l.lane,
        (SELECT g FROM read_grants(r.worker_id, ARRAY[b.t], ARRAY[b.s]) g
         WHERE b.next AND l.run_id IS NOT NULL AND l.fencing_token = r.fencing_token + 1)
      FROM jsonb_to_recordset(p_batch) AS b(ord integer, t text, s text, r text, tok bigint, msgs jsonb, next boolean)
      JOIN session_leases l ON l.tenant_id = b.t AND l.session_key = b.s
      JOIN runs r ON r.tenant_id = b.t AND r.run_id = b.r AND r.fencing_token = b.tok AND r.ended_at IS NOT NULL
      LEFT JOIN LATERAL first_appended(b.t, b.s, r.user_seq, b.msgs) m ON true
      WHERE b.ord <> ALL (coalesce(v_ords, '{}'));
  END IF;
END $$;

-- Sessions that are ready, in the order of their readiness, with the pool that serves their tenant now.
CREATE OR REPLACE FUNCTION ready_sessions(p_older_than_ms integer, p_limit integer, p_since timestamptz, p_tenant text, p_key text)
RETURNS TABLE (ready_since timestamptz, tenant_id text, session_key text, pool text, lane text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = openclaw_ha, pg_temp SET enable_seqscan = off SET jit = off
AS $$
  SELECT l.ready_since, l.tenant_id, l.session_key,
    coalesce((SELECT t.pool FROM tenants t WHERE t.tenant_id = l.tenant_id), l.pool), l.lane
  FROM session_leases l
  WHERE l.ready_since IS NOT NULL AND l.ready_since <= clock_timestamp() - make_interval(secs => p_older_than_ms / 1000.0)
    AND (l.ready_since, l.tenant_id, l.session_key) > (coalesce(p_since, '-infinity'), coalesce(p_tenant, ''), coalesce(p_key, ''))
  ORDER BY l.ready_since, l.tenant_id, l.session_key LIMIT p_limit
$$;

-- Operators: another pool serves the tenant from now on. Returns whether there is such a tenant. What waits is found by its
-- open runs and locked in the order in which everybody locks leases.
CREATE FUNCTION move_tenant(p_tenant text, p_pool text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = openclaw_ha, pg_temp SET enable_seqscan = off
AS $$
DECLARE
  v_from text;
  v_keys text[];
BEGIN
  SELECT t.pool INTO v_from FROM tenants t WHERE t.tenant_id = p_tenant FOR UPDATE;
  IF NOT FOUND THEN RETURN false; END IF;
  IF v_from <> p_pool THEN
    UPDATE tenants t SET pool = p_pool WHERE t.tenant_id = p_tenant;
    INSERT INTO audit_log (tenant_id, action, target, details)
    VALUES (p_tenant, 'tenant.moved', p_tenant, jsonb_build_object('from', v_from, 'to', p_pool));
  END IF;
  SELECT coalesce(array_agg(x.session_key), '{}') INTO v_keys FROM (
    SELECT l.session_key
    FROM (SELECT DISTINCT r.session_key FROM runs r WHERE r.tenant_id = p_tenant AND r.ended_at IS NULL) o
    JOIN session_leases l ON l.tenant_id = p_tenant AND l.session_key = o.session_key
    ORDER BY l.session_key FOR UPDATE OF l
  ) x;
  PERFORM follow_pools(array_fill(p_tenant, ARRAY[cardinality(v_keys)]), v_keys);
  RETURN true;
END $$;

REVOKE ALL ON FUNCTION follow_pools(text[], text[]), move_tenant(text, text) FROM PUBLIC;
