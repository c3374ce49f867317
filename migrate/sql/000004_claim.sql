-- Claiming and releasing: who may execute a session. Every write of a run is guarded by the fencing token given here.
--   compatible: first revision
--   lock: none that matters (new functions)
--
-- Each function locks its lease rows first, in order, in a statement of its own: the statements after it take a new
-- snapshot and so see everything that was committed under those locks. One statement that locks and reads would read
-- the runs as they were before it waited, and overlook one that was accepted meanwhile.

-- The right to execute one run, as ports/run-ledger.ts, Grant, describes it. Times are epoch milliseconds.
CREATE TYPE session_grant AS (
  tenant_id text, session_key text, run_id text, token bigint, session_id text, agent_id text, lane text, pool text,
  attempt integer, failures integer, options jsonb, input_body json, input_sha256 text, input_bytes bigint,
  accepted_ms double precision, started_ms double precision,
  user_seq bigint, user_message_id text, user_parent_id text, user_ms double precision,
  head_seq bigint, reset_seq bigint, session_model text, session_thinking text, steps_done integer,
  abort_requested boolean, started_tools jsonb, collected jsonb
);

-- The text of a message that others can be put behind: NULL for one in an object, with attachments (put behind others it
-- would lose them), or with characters that PostgreSQL cannot decode (NUL, half a surrogate pair).
CREATE FUNCTION collectable_text(p_body json) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN p_body::text ~* '\\u(0000|d[89a-f])' OR p_body -> '__openclaw' -> 'media' IS NOT NULL THEN NULL
              WHEN json_typeof(p_body -> 'content') = 'string' THEN p_body ->> 'content' END
$$;

-- Makes one message of that of a run of mode collect, granted just now for the first time, and those of the same mode
-- behind it, as core/queue-mode.ts does: at most 64 texts that fit into a row together. The others end with an empty
-- result. Caller holds the lease row. Returns the grant with what came of it.
CREATE FUNCTION collect_queued(p_grant session_grant, p_at timestamptz) RETURNS session_grant
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = openclaw_ha, pg_temp SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
  v_text  text := '[Queued messages while agent was busy]';
  v_bytes integer := 0;
  v_count integer := 0;
  v_ids   text[] := '{}';
  v_run   runs;
BEGIN
  FOR v_run IN -- the granted one comes first: it was the oldest of those that were queued
    SELECT * FROM runs r WHERE r.tenant_id = p_grant.tenant_id AND r.session_key = p_grant.session_key AND r.ended_at IS NULL
    ORDER BY r.run_order LIMIT 64
  LOOP
    v_bytes := v_bytes + octet_length(v_run.input_body::text);
    EXIT WHEN v_run.queue_mode <> 'collect' OR (v_count > 0 AND v_run.attempt > 0) OR v_bytes > 32768
      OR collectable_text(v_run.input_body) IS NULL;
    v_count := v_count + 1;
    v_text := v_text || E'\n\n---\nQueued #' || v_count || coalesce(' (from ' || (v_run.options ->> 'sender') || ')', '') || E'\n'
      || rtrim(collectable_text(v_run.input_body), E' \t\r\n');
    IF v_count > 1 THEN v_ids := v_ids || v_run.run_id; END IF;
  END LOOP;
  p_grant.collected := to_jsonb(v_ids);
  IF v_count = 0 THEN RETURN p_grant; END IF;
  p_grant.input_body := (p_grant.input_body::jsonb || jsonb_build_object('content', v_text))::json;
  UPDATE messages m SET body = p_grant.input_body
  WHERE m.tenant_id = p_grant.tenant_id AND m.session_key = p_grant.session_key AND m.seq = p_grant.user_seq;
  UPDATE runs r SET input_body = p_grant.input_body, collected = v_ids
  WHERE r.tenant_id = p_grant.tenant_id AND r.run_id = p_grant.run_id;
  UPDATE runs r SET status = 'succeeded', ended_at = p_at, fencing_token = p_grant.token,
    result = jsonb_build_object('text', '', 'stopReason', 'collected', 'mergedInto', p_grant.run_id)
  FROM unnest(v_ids) AS i(id) WHERE r.tenant_id = p_grant.tenant_id AND r.run_id = i.id;
  UPDATE session_leases l SET queued = l.queued - cardinality(v_ids)
  WHERE l.tenant_id = p_grant.tenant_id AND l.session_key = p_grant.session_key;
  RETURN p_grant;
END $$;

-- Tool calls of a run that were recorded as started and have no result: their outcome is unknown.
CREATE FUNCTION open_tools(p_tenant text, p_run text) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = openclaw_ha, pg_temp
AS $$
  SELECT jsonb_agg(jsonb_build_object('toolCallId', a.tool_call_id, 'toolName', a.tool_name, 'idempotent', a.idempotent) ORDER BY a.step_no)
  FROM steps a
  WHERE a.tenant_id = p_tenant AND a.run_id = p_run AND a.kind = 'tool_started' AND NOT EXISTS (
    SELECT FROM steps b WHERE b.tenant_id = a.tenant_id AND b.run_id = a.run_id AND b.kind = 'tool_result'
      AND b.tool_call_id = a.tool_call_id)
$$;

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
CREATE FUNCTION start_next(p_worker text, p_tenants text[], p_keys text[]) RETURNS SETOF session_grant
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

-- The grants that a worker holds already among the sessions given: for calls that are repeated.
CREATE FUNCTION read_grants(p_worker text, p_tenants text[], p_keys text[]) RETURNS SETOF session_grant
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = openclaw_ha, pg_temp SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
  RETURN QUERY
  SELECT l.tenant_id, l.session_key, r.run_id, l.fencing_token, r.session_id, r.agent_id, r.lane, l.pool, r.attempt, r.failures,
    r.options, r.input_body, r.input_sha256, r.input_bytes, epoch_ms(r.accepted_at), epoch_ms(r.started_at),
    r.user_seq, m.message_id, m.parent_id, epoch_ms(m.created_at), l.head_seq, l.reset_seq, s.model, s.thinking_level,
    r.steps_done, r.abort_requested, CASE WHEN r.attempt > 1 AND r.steps_done > 0 THEN open_tools(r.tenant_id, r.run_id) END,
    CASE WHEN r.attempt = 1 THEN to_jsonb(r.collected) END -- told with the grant that collected them, and no later one
  FROM unnest(p_tenants, p_keys) AS k(t, s)
  CROSS JOIN LATERAL (SELECT * FROM session_leases l WHERE l.tenant_id = k.t AND l.session_key = k.s LIMIT 1) l
  CROSS JOIN LATERAL (SELECT * FROM runs r WHERE r.tenant_id = l.tenant_id AND r.run_id = l.run_id LIMIT 1) r
  LEFT JOIN LATERAL (
    SELECT s.model, s.thinking_level FROM sessions s WHERE s.tenant_id = l.tenant_id AND s.session_key = l.session_key LIMIT 1
  ) s ON true
  LEFT JOIN LATERAL (
    SELECT m.message_id, m.parent_id, m.created_at FROM messages m
    WHERE m.tenant_id = l.tenant_id AND m.session_key = l.session_key AND m.seq = r.user_seq LIMIT 1
  ) m ON true
  WHERE l.worker_id = p_worker;
END $$;

-- Takes sessions away from holders that are not alive: their run goes back to the queue at its old place, or is
-- buried after p_max_failures attempts lost in a row or three times as many in all; with p_bury false such a session is
-- left for a sweep, which announces the end. The token is raised, so that the old holder is fenced at once.
-- Caller holds the lease rows. Returns one row per session taken.
CREATE FUNCTION recover_sessions(p_tenants text[], p_keys text[], p_max_failures integer, p_bury boolean)
RETURNS TABLE (tenant_id text, session_key text, pool text, lane text, ready boolean, token bigint, buried jsonb)
LANGUAGE sql SECURITY DEFINER
SET search_path = openclaw_ha, pg_temp SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET jit = off
AS $$
  WITH lost AS MATERIALIZED (
    SELECT l.tenant_id, l.session_key, l.fencing_token + 1 AS token, l.run_id, l.worker_id,
      r.run_id IS NOT NULL AND w.state IS DISTINCT FROM 'retired' AND too_many.is_so AS bury,
      w.state IS DISTINCT FROM 'retired' AS failed,
      CASE WHEN r.run_id IS NULL THEN 0 ELSE 1 END AS has_run
    FROM unnest(p_tenants, p_keys) AS k(t, s)
    JOIN session_leases l ON l.tenant_id = k.t AND l.session_key = k.s
    LEFT JOIN workers w ON w.worker_id = l.worker_id
    LEFT JOIN runs r ON r.tenant_id = l.tenant_id AND r.run_id = l.run_id AND r.ended_at IS NULL
    CROSS JOIN LATERAL (
      SELECT r.failures + 1 >= p_max_failures OR r.losses + 1 >= 3 * p_max_failures::bigint AS is_so
    ) too_many
    WHERE l.worker_id IS NOT NULL AND w.state IS DISTINCT FROM 'live'
      AND (p_bury OR r.run_id IS NULL OR w.state = 'retired' OR NOT too_many.is_so)
  ), requeued AS (
    UPDATE runs r SET status = 'queued', worker_id = NULL, failures = r.failures + x.failed::integer,
      losses = r.losses + x.failed::integer
    FROM lost x WHERE NOT x.bury AND r.tenant_id = x.tenant_id AND r.run_id = x.run_id AND r.ended_at IS NULL
  ), buried AS (
    UPDATE runs r SET status = 'dead', failures = r.failures + 1, losses = r.losses + 1, ended_at = clock_timestamp(),
      fencing_token = x.token,
      error = jsonb_build_object('kind', 'worker_lost', 'message', format(
        'the run took down %s, the last one %s; look at its log, then redrive the run',
        CASE WHEN r.failures + 1 >= p_max_failures THEN format('%s workers in a row', r.failures + 1)
             ELSE format('%s workers in all', r.losses + 1) END, x.worker_id))
    FROM lost x WHERE x.bury AND r.tenant_id = x.tenant_id AND r.run_id = x.run_id
    RETURNING r.tenant_id, r.session_key, run_record(r) AS record
  ), audited AS (
    INSERT INTO audit_log (tenant_id, action, target, details)
    SELECT tenant_id, 'run.buried', record ->> 'runId', record -> 'error' FROM buried
  ), freed AS (
    UPDATE session_leases l SET worker_id = NULL, run_id = NULL, fencing_token = x.token,
      queued = l.queued + CASE WHEN x.bury THEN 0 ELSE x.has_run END,
      ready_since = CASE WHEN l.queued + CASE WHEN x.bury THEN 0 ELSE x.has_run END > 0 THEN clock_timestamp() END
    FROM lost x WHERE l.tenant_id = x.tenant_id AND l.session_key = x.session_key
    RETURNING l.tenant_id, l.session_key, l.pool, l.lane, l.ready_since IS NOT NULL AS ready, l.fencing_token
  )
  SELECT f.tenant_id, f.session_key, f.pool, f.lane, f.ready, f.fencing_token, b.record
  FROM freed f LEFT JOIN buried b ON b.tenant_id = f.tenant_id AND b.session_key = f.session_key
$$;

-- Declares dead whoever has not been heard of for the TTL. Only workers named, or all with NULL. The caller may hold
-- lease rows: a worker's row that somebody else is writing is passed over, for then the worker has just been heard of,
-- or somebody else is declaring it dead.
CREATE FUNCTION expire_workers(p_workers text[], p_ttl_ms integer) RETURNS SETOF text
LANGUAGE sql SECURITY DEFINER SET search_path = openclaw_ha, pg_temp
AS $$
  UPDATE workers w SET state = 'dead', ended_at = clock_timestamp()
  FROM (
    SELECT worker_id FROM workers
    WHERE state = 'live' AND heartbeat_at < clock_timestamp() - make_interval(secs => p_ttl_ms / 1000.0)
      AND (p_workers IS NULL OR worker_id = ANY (p_workers))
    ORDER BY worker_id FOR UPDATE SKIP LOCKED
  ) x WHERE w.worker_id = x.worker_id
  RETURNING w.worker_id
$$;

-- Claims sessions for a worker.
--   p_sessions  array of {t: tenant, s: session key}
--   returns     a row per session granted; and one with busy true, tenant and session for each that a live worker holds.
--               Sessions without a row have nothing queued.
-- Repeatable: a session that the worker holds already answers the same grant.
-- Raises HA001 when the worker itself is not alive: it must register again under a new id.
CREATE FUNCTION claim_sessions(p_worker text, p_sessions jsonb, p_ttl_ms integer, p_max_failures integer)
RETURNS TABLE (busy boolean, tenant text, session text, granted session_grant)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = openclaw_ha, pg_temp SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
  v_tenants text[];
  v_keys    text[];
  v_holders text[];
BEGIN
  -- Not locked: a worker declared dead right now may still get a lease, which the next sweep takes back.
  PERFORM FROM workers WHERE worker_id = p_worker AND state = 'live';
  IF NOT FOUND THEN
    RAISE EXCEPTION 'worker % is not alive', p_worker USING ERRCODE = 'HA001';
  END IF;
  SELECT array_agg(x.tenant_id), array_agg(x.session_key), array_agg(DISTINCT x.worker_id) FILTER (WHERE x.worker_id IS NOT NULL)
  INTO v_tenants, v_keys, v_holders
  FROM (
    SELECT l.tenant_id, l.session_key, l.worker_id
    FROM jsonb_to_recordset(p_sessions) AS b(t text, s text)
    JOIN session_leases l ON l.tenant_id = b.t AND l.session_key = b.s
    ORDER BY l.tenant_id, l.session_key FOR UPDATE OF l
  ) x;
  IF v_tenants IS NULL THEN RETURN; END IF;
  IF v_holders IS NOT NULL THEN
    PERFORM expire_workers(array_remove(v_holders, p_worker), p_ttl_ms);
    PERFORM recover_sessions(v_tenants, v_keys, p_max_failures, false);
    RETURN QUERY SELECT false, g.tenant_id, g.session_key, g FROM read_grants(p_worker, v_tenants, v_keys) g;
    RETURN QUERY
      SELECT true, l.tenant_id, l.session_key, NULL::session_grant
      FROM unnest(v_tenants, v_keys) AS k(t, s)
      CROSS JOIN LATERAL (SELECT * FROM session_leases l WHERE l.tenant_id = k.t AND l.session_key = k.s LIMIT 1) l
      WHERE l.worker_id <> p_worker;
  END IF;
  RETURN QUERY SELECT false, g.tenant_id, g.session_key, g FROM start_next(p_worker, v_tenants, v_keys) g;
END $$;

-- Hands runs back unfinished; they keep their place at the head of their session, and no failure is counted.
--   p_batch  array of {t, s, r, tok}
--   returns  the sessions that became ready
CREATE FUNCTION release_runs(p_batch jsonb) RETURNS TABLE (tenant_id text, session_key text, pool text, lane text)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = openclaw_ha, pg_temp SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
BEGIN
  PERFORM FROM (
    SELECT FROM jsonb_to_recordset(p_batch) AS b(t text, s text)
    JOIN session_leases l ON l.tenant_id = b.t AND l.session_key = b.s
    ORDER BY l.tenant_id, l.session_key FOR UPDATE OF l
  ) x;
  RETURN QUERY
    WITH freed AS (
      UPDATE session_leases l SET worker_id = NULL, run_id = NULL, fencing_token = l.fencing_token + 1,
        queued = l.queued + 1, ready_since = clock_timestamp()
      FROM jsonb_to_recordset(p_batch) AS b(t text, s text, r text, tok bigint)
      WHERE l.tenant_id = b.t AND l.session_key = b.s AND l.fencing_token = b.tok AND l.run_id = b.r
      RETURNING l.tenant_id, l.session_key, l.pool, l.lane, b.r AS run_id
    ), requeued AS (
      UPDATE runs r SET status = 'queued', worker_id = NULL
      FROM freed f WHERE r.tenant_id = f.tenant_id AND r.run_id = f.run_id
    )
    SELECT f.tenant_id, f.session_key, f.pool, f.lane FROM freed f;
END $$;

REVOKE ALL ON FUNCTION collectable_text(json), collect_queued(session_grant, timestamptz), open_tools(text, text),
  follow_pools(text[], text[]), start_next(text, text[], text[]), read_grants(text, text[], text[]),
  recover_sessions(text[], text[], integer, boolean), expire_workers(text[], integer),
  claim_sessions(text, jsonb, integer, integer), release_runs(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION claim_sessions(text, jsonb, integer, integer), release_runs(jsonb) TO openclaw_ha_app;
