-- Claiming, checkpointing, finishing and releasing: every write of a run, guarded by its fencing token.
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
  abort_requested boolean, started_tools jsonb
);

CREATE FUNCTION epoch_ms(p_at timestamptz) RETURNS double precision LANGUAGE sql STABLE AS $$
  SELECT floor(extract(epoch FROM p_at) * 1000)::double precision
$$;

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

-- Starts the oldest queued run of each session given and returns its grant: raises the token, writes the user row where
-- there is none yet. Caller holds the lease rows. Considers only sessions without a current run; p_worker gets the lease.
-- LATERAL with LIMIT: each row is fetched by its whole key, whatever the planner believes of the tables.
CREATE FUNCTION start_next(p_worker text, p_tenants text[], p_keys text[]) RETURNS SETOF session_grant
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = openclaw_ha, pg_temp SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
  v_now timestamptz := clock_timestamp();
BEGIN
  RETURN QUERY
  WITH next AS MATERIALIZED (
    SELECT l.tenant_id, l.session_key, l.fencing_token + 1 AS token, l.pool, l.head_seq, l.reset_seq, l.head_message_id AS parent_id,
      r.run_id, r.session_id, r.agent_id, r.lane, r.attempt + 1 AS attempt, r.failures, r.options, r.input_body, r.input_sha256,
      r.input_bytes, r.accepted_at, coalesce(r.started_at, v_now) AS started_at, r.steps_done, r.abort_requested,
      r.user_seq IS NULL AS first, coalesce(r.user_seq, l.head_seq + 1) AS user_seq,
      r.run_id || ':user' || CASE WHEN r.attempt > 0 AND r.user_seq IS NULL THEN ':' || r.attempt ELSE '' END AS user_message_id
    FROM unnest(p_tenants, p_keys) AS k(t, s)
    CROSS JOIN LATERAL (SELECT * FROM session_leases l WHERE l.tenant_id = k.t AND l.session_key = k.s LIMIT 1) l
    CROSS JOIN LATERAL (
      SELECT * FROM runs r
      WHERE r.tenant_id = l.tenant_id AND r.session_key = l.session_key AND r.ended_at IS NULL AND r.status = 'queued'
      ORDER BY r.run_order LIMIT 1
    ) r
    WHERE l.run_id IS NULL AND (l.worker_id IS NULL OR l.worker_id = p_worker)
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
    CASE WHEN n.attempt > 1 AND n.steps_done > 0 THEN open_tools(n.tenant_id, n.run_id) END
  FROM next n
  LEFT JOIN LATERAL (
    SELECT s.model, s.thinking_level FROM sessions s WHERE s.tenant_id = n.tenant_id AND s.session_key = n.session_key LIMIT 1
  ) s ON true
  LEFT JOIN LATERAL (
    SELECT m.message_id, m.parent_id, m.created_at FROM messages m
    WHERE NOT n.first AND m.tenant_id = n.tenant_id AND m.session_key = n.session_key AND m.seq = n.user_seq LIMIT 1
  ) m ON true;
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
    r.steps_done, r.abort_requested, CASE WHEN r.attempt > 1 AND r.steps_done > 0 THEN open_tools(r.tenant_id, r.run_id) END
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
-- buried after p_max_failures attempts lost in a row; with p_bury false such a session is left for a sweep, which
-- announces the end. The token is raised, so that the old holder is fenced at once.
-- Caller holds the lease rows. Returns one row per session taken.
CREATE FUNCTION recover_sessions(p_tenants text[], p_keys text[], p_max_failures integer, p_bury boolean)
RETURNS TABLE (tenant_id text, session_key text, pool text, lane text, ready boolean, token bigint, buried jsonb)
LANGUAGE sql SECURITY DEFINER
SET search_path = openclaw_ha, pg_temp SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET jit = off
AS $$
  WITH lost AS MATERIALIZED (
    SELECT l.tenant_id, l.session_key, l.fencing_token + 1 AS token, l.run_id, l.worker_id,
      r.run_id IS NOT NULL AND w.state IS DISTINCT FROM 'retired' AND r.failures + 1 >= p_max_failures AS bury,
      w.state IS DISTINCT FROM 'retired' AS failed,
      CASE WHEN r.run_id IS NULL THEN 0 ELSE 1 END AS has_run
    FROM unnest(p_tenants, p_keys) AS k(t, s)
    JOIN session_leases l ON l.tenant_id = k.t AND l.session_key = k.s
    LEFT JOIN workers w ON w.worker_id = l.worker_id
    LEFT JOIN runs r ON r.tenant_id = l.tenant_id AND r.run_id = l.run_id AND r.ended_at IS NULL
    WHERE l.worker_id IS NOT NULL AND w.state IS DISTINCT FROM 'live'
      AND (p_bury OR r.run_id IS NULL OR w.state = 'retired' OR r.failures + 1 < p_max_failures)
  ), requeued AS (
    UPDATE runs r SET status = 'queued', worker_id = NULL, failures = r.failures + CASE WHEN x.failed THEN 1 ELSE 0 END
    FROM lost x WHERE NOT x.bury AND r.tenant_id = x.tenant_id AND r.run_id = x.run_id AND r.ended_at IS NULL
  ), buried AS (
    UPDATE runs r SET status = 'dead', failures = r.failures + 1, ended_at = clock_timestamp(), fencing_token = x.token,
      error = jsonb_build_object('kind', 'worker_lost', 'message',
        format('the run took down %s workers in a row, the last one %s; look at its log, then redrive the run', r.failures + 1, x.worker_id))
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

-- Declares dead whoever has not been heard of for the TTL. Only workers named, or all with NULL.
CREATE FUNCTION expire_workers(p_workers text[], p_ttl_ms integer) RETURNS SETOF text
LANGUAGE sql SECURITY DEFINER SET search_path = openclaw_ha, pg_temp
AS $$
  UPDATE workers SET state = 'dead', ended_at = clock_timestamp()
  WHERE state = 'live' AND heartbeat_at < clock_timestamp() - make_interval(secs => p_ttl_ms / 1000.0)
    AND (p_workers IS NULL OR worker_id = ANY (p_workers))
  RETURNING worker_id
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

-- Claims ready sessions without the queue: oldest first, at most p_max, within the lane widths of each tenant.
--   p_widths  {lane: width}
-- One caller at a time, so that widths hold between workers that poll together.
CREATE FUNCTION claim_ready(p_worker text, p_pools text[], p_max integer, p_widths jsonb) RETURNS SETOF session_grant
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = openclaw_ha, pg_temp SET jit = off
AS $$
DECLARE
  v_tenants text[];
  v_keys    text[];
BEGIN
  PERFORM FROM workers WHERE worker_id = p_worker AND state = 'live';
  IF NOT FOUND THEN
    RAISE EXCEPTION 'worker % is not alive', p_worker USING ERRCODE = 'HA001';
  END IF;
  PERFORM pg_advisory_xact_lock(hashtextextended('openclaw_ha.claim_ready', 0));
  WITH held AS (
    SELECT tenant_id, lane, count(*) AS n FROM session_leases WHERE worker_id IS NOT NULL GROUP BY 1, 2
  ), ready AS (
    SELECT l.tenant_id, l.session_key, l.ready_since, l.lane,
      row_number() OVER (PARTITION BY l.tenant_id, l.lane ORDER BY l.ready_since, l.session_key) AS place
    FROM session_leases l WHERE l.ready_since IS NOT NULL AND l.pool = ANY (p_pools)
  ), chosen AS MATERIALIZED (
    SELECT r.tenant_id, r.session_key FROM ready r LEFT JOIN held h USING (tenant_id, lane)
    WHERE r.place + coalesce(h.n, 0) <= coalesce((p_widths ->> r.lane)::integer, 1)
    ORDER BY r.ready_since LIMIT p_max
  )
  SELECT array_agg(x.tenant_id), array_agg(x.session_key) INTO v_tenants, v_keys
  FROM (
    SELECT l.tenant_id, l.session_key FROM session_leases l JOIN chosen c USING (tenant_id, session_key)
    WHERE l.worker_id IS NULL
    ORDER BY l.tenant_id, l.session_key FOR UPDATE OF l SKIP LOCKED
  ) x;
  IF v_tenants IS NULL THEN RETURN; END IF;
  RETURN QUERY SELECT * FROM start_next(p_worker, v_tenants, v_keys);
END $$;

-- Appends steps and messages of granted runs. Caller holds the lease rows and passes only rows whose guard held.
-- All arrays are of one length, an element per run.
--   p_heads, p_parents  head_seq and head_message_id of the session before the call
--   p_steps             arrays of {n, kind, tc, tn, idem, err}
--   p_msgs              arrays of {id, key, body: JSON text | null, sha, bytes}
--   p_at                time of the rows
-- A model step is counted in runs.steps_done and has no row of its own: its message is the record of it. What is read
-- after a crash are tool steps.
CREATE FUNCTION append_work(p_tenants text[], p_keys text[], p_runs text[], p_tokens bigint[], p_heads bigint[], p_parents text[],
  p_steps jsonb[], p_msgs jsonb[], p_at timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = openclaw_ha, pg_temp SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
  INSERT INTO steps (tenant_id, run_id, step_no, kind, tool_call_id, tool_name, idempotent, is_error, fencing_token, created_at)
  SELECT i.t, i.r, x.n, x.kind, x.tc, x.tn, x.idem, x.err, i.tok, p_at
  FROM unnest(p_tenants, p_runs, p_tokens, p_steps) AS i(t, r, tok, steps),
    jsonb_to_recordset(i.steps) AS x(n integer, kind text, tc text, tn text, idem boolean, err boolean)
  WHERE x.kind <> 'model'
  ON CONFLICT DO NOTHING;
  INSERT INTO messages (tenant_id, session_key, seq, message_id, parent_id, run_id, idempotency_key, body, object_sha256, object_bytes, created_at)
  SELECT i.t, i.s, i.head + m.place, m.msg ->> 'id',
    CASE m.place WHEN 1 THEN i.parent ELSE i.msgs -> (m.place - 2)::integer ->> 'id' END,
    i.r, m.msg ->> 'key', (m.msg ->> 'body')::json, m.msg ->> 'sha', (m.msg ->> 'bytes')::bigint, p_at
  FROM unnest(p_tenants, p_keys, p_runs, p_heads, p_parents, p_msgs) AS i(t, s, r, head, parent, msgs),
    jsonb_array_elements(i.msgs) WITH ORDINALITY AS m(msg, place);
  INSERT INTO artifacts (tenant_id, sha256, bytes, kind)
  SELECT i.t, m.msg ->> 'sha', (m.msg ->> 'bytes')::bigint, 'message'
  FROM unnest(p_tenants, p_msgs) AS i(t, msgs), jsonb_array_elements(i.msgs) AS m(msg)
  WHERE m.msg ->> 'sha' IS NOT NULL ORDER BY 1, 2
  ON CONFLICT DO NOTHING;
END $$;

-- Where the rows of an earlier call stand that a repeated one asks for: found by the id of the first.
CREATE FUNCTION first_appended(p_tenant text, p_key text, p_from bigint, p_msgs jsonb)
RETURNS TABLE (seq bigint, parent_id text, created_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = openclaw_ha, pg_temp
AS $$
  SELECT m.seq, m.parent_id, m.created_at FROM messages m
  WHERE m.tenant_id = p_tenant AND m.session_key = p_key AND m.seq >= p_from AND m.message_id = p_msgs -> 0 ->> 'id'
  ORDER BY m.seq LIMIT 1
$$;

-- Checkpoints granted runs.
--   p_batch  array of {ord, t, s, r, tok, no: checkpoint number, steps, msgs} (see append_work)
--   returns  ord; first_seq and parent_id of the messages; head_seq; created_at; abort_requested. No row: fenced.
-- Repeatable: a checkpoint number that is stored already changes nothing.
CREATE FUNCTION checkpoint_runs(p_batch jsonb)
RETURNS TABLE (ord integer, first_seq bigint, parent_id text, head_seq bigint, created_at double precision, abort_requested boolean)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = openclaw_ha, pg_temp SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
  v_now     timestamptz := clock_timestamp();
  v_ords    integer[] := '{}';
  v_tenants text[];
  v_keys    text[];
  v_runs    text[];
  v_tokens  bigint[];
  v_heads   bigint[];
  v_parents text[];
  v_numbers integer[];
  v_steps   jsonb[];
  v_msgs    jsonb[];
BEGIN
  PERFORM FROM (
    SELECT FROM jsonb_to_recordset(p_batch) AS b(t text, s text)
    JOIN session_leases l ON l.tenant_id = b.t AND l.session_key = b.s
    ORDER BY l.tenant_id, l.session_key FOR UPDATE OF l
  ) x;
  -- The run's checkpoint number is read after the lock: the same checkpoint, sent twice, may be waiting for itself.
  SELECT array_agg(b.ord), array_agg(b.t), array_agg(b.s), array_agg(b.r), array_agg(b.tok), array_agg(l.head_seq),
    array_agg(l.head_message_id), array_agg(b.no), array_agg(b.steps), array_agg(b.msgs)
  INTO v_ords, v_tenants, v_keys, v_runs, v_tokens, v_heads, v_parents, v_numbers, v_steps, v_msgs
  FROM jsonb_to_recordset(p_batch) AS b(ord integer, t text, s text, r text, tok bigint, no integer, steps jsonb, msgs jsonb)
  JOIN session_leases l ON l.tenant_id = b.t AND l.session_key = b.s AND l.fencing_token = b.tok AND l.run_id = b.r
  JOIN runs r ON r.tenant_id = b.t AND r.run_id = b.r AND r.checkpoint_no < b.no;
  IF v_ords IS NOT NULL THEN
    PERFORM append_work(v_tenants, v_keys, v_runs, v_tokens, v_heads, v_parents, v_steps, v_msgs, v_now);
    UPDATE session_leases l SET head_seq = i.head + jsonb_array_length(i.msgs),
      head_message_id = coalesce(i.msgs -> -1 ->> 'id', l.head_message_id)
    FROM unnest(v_tenants, v_keys, v_heads, v_msgs) AS i(t, s, head, msgs)
    WHERE l.tenant_id = i.t AND l.session_key = i.s;
    RETURN QUERY
      UPDATE runs r SET checkpoint_no = i.no,
        failures = CASE WHEN jsonb_array_length(i.msgs) > 0 THEN 0 ELSE r.failures END, -- a message is progress, a started tool is not
        steps_done = r.steps_done + jsonb_array_length(i.steps)
      FROM unnest(v_ords, v_tenants, v_runs, v_heads, v_parents, v_numbers, v_steps, v_msgs) AS i(ord, t, r, head, parent, no, steps, msgs)
      WHERE r.tenant_id = i.t AND r.run_id = i.r
      RETURNING i.ord, i.head + 1, i.parent, i.head + jsonb_array_length(i.msgs),
        floor(extract(epoch FROM v_now) * 1000)::double precision, r.abort_requested;
  END IF;
  IF coalesce(cardinality(v_ords), 0) < jsonb_array_length(p_batch) THEN
    RETURN QUERY
      SELECT b.ord, m.seq, m.parent_id, l.head_seq, floor(extract(epoch FROM m.created_at) * 1000)::double precision, r.abort_requested
      FROM jsonb_to_recordset(p_batch) AS b(ord integer, t text, s text, r text, tok bigint, msgs jsonb)
      JOIN session_leases l ON l.tenant_id = b.t AND l.session_key = b.s AND l.fencing_token = b.tok AND l.run_id = b.r
      JOIN runs r ON r.tenant_id = b.t AND r.run_id = b.r
      LEFT JOIN LATERAL first_appended(b.t, b.s, r.user_seq, b.msgs) m ON true
      WHERE b.ord <> ALL (coalesce(v_ords, '{}'));
  END IF;
END $$;

-- Ends granted runs; takes the next run of each session for the same worker, or releases the lease: so no wake-up is lost.
--   p_batch           array of {ord, t, s, r, tok, st: status, res, err, steps, msgs, next: boolean, prev: preview | null,
--                     tin, tout: tokens}
--   p_seal_threshold  rows of hot tail above which the session is put into seal_queue
--   returns           ord; first_seq and parent_id of the messages; head_seq; created_at; ready (more is queued and was
--                     not taken) with pool and lane; the next grant, or NULL. No row: fenced.
-- Repeatable: a run that ended under this token answers again, with the same next grant while that is running.
CREATE FUNCTION finish_runs(p_batch jsonb, p_seal_threshold integer)
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
    array_agg(x.head_message_id), array_agg(x.worker_id), array_agg(x.queued > 0 AND x.next), array_agg(x.st), array_agg(x.res),
    array_agg(x.err), array_agg(x.steps), array_agg(x.msgs), array_agg(x.prev), array_agg(x.tin), array_agg(x.tout)
  INTO v_ords, v_tenants, v_keys, v_runs, v_tokens, v_heads, v_parents, v_workers, v_more, v_states, v_results,
    v_errors, v_steps, v_msgs, v_previews, v_inputs, v_outputs
  FROM (
    SELECT b.*, l.head_seq, l.head_message_id, l.worker_id, l.queued
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

-- Hands runs back unfinished; they keep their place at the head of their session, and no failure is counted.
--   p_batch  array of {t, s, r, tok}
--   returns  the sessions that became ready
CREATE FUNCTION release_runs(p_batch jsonb) RETURNS TABLE (tenant_id text, session_key text, pool text, lane text)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = openclaw_ha, pg_temp SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET jit = off
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

REVOKE ALL ON FUNCTION open_tools(text, text), start_next(text, text[], text[]), read_grants(text, text[], text[]),
  recover_sessions(text[], text[], integer, boolean), expire_workers(text[], integer),
  claim_sessions(text, jsonb, integer, integer), claim_ready(text, text[], integer, jsonb), append_work(text[], text[], text[], bigint[], bigint[], text[], jsonb[], jsonb[], timestamptz),
  first_appended(text, text, bigint, jsonb), checkpoint_runs(jsonb), finish_runs(jsonb, integer), release_runs(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION claim_sessions(text, jsonb, integer, integer), claim_ready(text, text[], integer, jsonb),
  checkpoint_runs(jsonb), finish_runs(jsonb, integer), release_runs(jsonb) TO openclaw_ha_app;
