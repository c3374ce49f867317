-- Queue modes, granting: a checkpoint before a model call lets queued runs of mode `steer` join the run, and a run of mode
-- `collect` is granted together with those behind it. What joined has ended in the same statement.
--   compatible: yes (older workers send no `steer`; of what they do not read, followers read the ends of collected runs)
--   lock: none that matters (functions replaced, a type of theirs gets an attribute)

ALTER TYPE session_grant ADD ATTRIBUTE collected jsonb;

-- One steered run as ports/run-ledger.ts, SteeredRun, describes it. The body travels as text: it is what the row holds.
CREATE FUNCTION steered_run(p_run runs, p_seq bigint, p_parent text, p_at timestamptz) RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT jsonb_build_object('runId', p_run.run_id, 'seq', p_seq, 'parentId', p_parent, 'createdAt', epoch_ms(p_at),
    'body', p_run.input_body::text, 'sha', p_run.input_sha256, 'bytes', p_run.input_bytes)
$$;

-- Lets runs of mode steer join a granted run: at most 64 from the head of the queue on, up to the first of another mode.
-- Their rows are appended to the transcript as rows of that run, and they end with an empty result. A run that has been
-- granted before keeps its own turn. Caller holds the lease row.
--   p_no     the checkpoint that takes them in
--   returns  array of steered_run(); NULL where none joined
CREATE FUNCTION steer_queued(p_tenant text, p_key text, p_run text, p_token bigint, p_no integer, p_at timestamptz) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = openclaw_ha, pg_temp SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
  v_seq     bigint;
  v_parent  text;
  v_run     runs;
  v_steered jsonb := '[]';
BEGIN
  SELECT l.head_seq, l.head_message_id INTO v_seq, v_parent FROM session_leases l
  WHERE l.tenant_id = p_tenant AND l.session_key = p_key;
  FOR v_run IN
    SELECT * FROM runs r WHERE r.tenant_id = p_tenant AND r.session_key = p_key AND r.ended_at IS NULL AND r.status = 'queued'
    ORDER BY r.run_order LIMIT 64
  LOOP
    EXIT WHEN v_run.queue_mode <> 'steer' OR v_run.attempt > 0;
    v_seq := v_seq + 1;
    v_steered := v_steered || steered_run(v_run, v_seq, v_parent, p_at);
    INSERT INTO messages (tenant_id, session_key, seq, message_id, parent_id, run_id, idempotency_key, body, object_sha256, object_bytes, created_at)
    VALUES (p_tenant, p_key, v_seq, v_run.run_id || ':user', v_parent, p_run, v_run.run_id || ':user',
      v_run.input_body, v_run.input_sha256, v_run.input_bytes, p_at);
    UPDATE runs r SET status = 'succeeded', ended_at = p_at, fencing_token = p_token, checkpoint_no = p_no, user_seq = v_seq,
      result = jsonb_build_object('text', '', 'stopReason', 'steered', 'mergedInto', p_run)
    WHERE r.tenant_id = p_tenant AND r.run_id = v_run.run_id;
    v_parent := v_run.run_id || ':user';
  END LOOP;
  IF v_steered = '[]' THEN RETURN NULL; END IF;
  UPDATE session_leases l SET queued = l.queued - jsonb_array_length(v_steered), head_seq = v_seq, head_message_id = v_parent
  WHERE l.tenant_id = p_tenant AND l.session_key = p_key;
  RETURN v_steered;
END $$;

-- What steer_queued() answered at a checkpoint that is sent again: found among the rows of the run that others asked for.
CREATE FUNCTION steered_before(p_tenant text, p_key text, p_run text, p_token bigint, p_no integer, p_user_seq bigint) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = openclaw_ha, pg_temp SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
  SELECT jsonb_agg(steered_run(r, m.seq, m.parent_id, m.created_at) ORDER BY m.seq)
  FROM messages m
  CROSS JOIN LATERAL (SELECT * FROM runs r WHERE r.tenant_id = p_tenant AND r.run_id = left(m.idempotency_key, -5) LIMIT 1) r
  WHERE m.tenant_id = p_tenant AND m.session_key = p_key AND m.seq > p_user_seq AND m.run_id = p_run
    AND m.idempotency_key LIKE '%:user' AND r.fencing_token = p_token AND r.checkpoint_no = p_no AND r.user_seq = m.seq
$$;

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

-- Starts the oldest queued run of each session given and returns its grant: raises the token, writes the user row where
-- there is none yet. Caller holds the lease rows. Considers only sessions without a current run; p_worker gets the lease.
-- A run of mode collect takes those behind it along.
-- LATERAL with LIMIT: each row is fetched by its whole key, whatever the planner believes of the tables.
CREATE OR REPLACE FUNCTION start_next(p_worker text, p_tenants text[], p_keys text[]) RETURNS SETOF session_grant
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = openclaw_ha, pg_temp SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
  v_now   timestamptz := clock_timestamp();
  v_grant session_grant;
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
    RETURN NEXT v_grant;
  END LOOP;
END $$;

-- The grants that a worker holds already among the sessions given: for calls that are repeated.
CREATE OR REPLACE FUNCTION read_grants(p_worker text, p_tenants text[], p_keys text[]) RETURNS SETOF session_grant
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

DROP FUNCTION checkpoint_runs(jsonb);

-- Checkpoints granted runs.
--   p_batch  array of {ord, t, s, r, tok, no: checkpoint number, steps, msgs (see append_work), steer: boolean}
--   returns  ord; first_seq and parent_id of the messages; head_seq; created_at; abort_requested; steered (see
--            steer_queued), or NULL where no run joined. No row: fenced.
-- Repeatable: a checkpoint number that is stored already changes nothing.
CREATE FUNCTION checkpoint_runs(p_batch jsonb)
RETURNS TABLE (ord integer, first_seq bigint, parent_id text, head_seq bigint, created_at double precision, abort_requested boolean,
  steered jsonb)
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
  v_steers  boolean[];
  v_steered jsonb[];
BEGIN
  PERFORM FROM (
    SELECT FROM jsonb_to_recordset(p_batch) AS b(t text, s text)
    JOIN session_leases l ON l.tenant_id = b.t AND l.session_key = b.s
    ORDER BY l.tenant_id, l.session_key FOR UPDATE OF l
  ) x;
  -- The run's checkpoint number is read after the lock: the same checkpoint, sent twice, may be waiting for itself.
  SELECT array_agg(b.ord), array_agg(b.t), array_agg(b.s), array_agg(b.r), array_agg(b.tok), array_agg(l.head_seq),
    array_agg(l.head_message_id), array_agg(b.no), array_agg(b.steps), array_agg(b.msgs),
    array_agg(l.queued > 0 AND coalesce(b.steer, false) AND NOT r.abort_requested)
  INTO v_ords, v_tenants, v_keys, v_runs, v_tokens, v_heads, v_parents, v_numbers, v_steps, v_msgs, v_steers
  FROM jsonb_to_recordset(p_batch) AS b(ord integer, t text, s text, r text, tok bigint, no integer, steps jsonb, msgs jsonb,
    steer boolean)
  JOIN session_leases l ON l.tenant_id = b.t AND l.session_key = b.s AND l.fencing_token = b.tok AND l.run_id = b.r
  JOIN runs r ON r.tenant_id = b.t AND r.run_id = b.r AND r.checkpoint_no < b.no;
  IF v_ords IS NOT NULL THEN
    PERFORM append_work(v_tenants, v_keys, v_runs, v_tokens, v_heads, v_parents, v_steps, v_msgs, v_now);
    UPDATE session_leases l SET head_seq = i.head + jsonb_array_length(i.msgs),
      head_message_id = coalesce(i.msgs -> -1 ->> 'id', l.head_message_id)
    FROM unnest(v_tenants, v_keys, v_heads, v_msgs) AS i(t, s, head, msgs)
    WHERE l.tenant_id = i.t AND l.session_key = i.s;
    v_steered := array_fill(NULL::jsonb, ARRAY[cardinality(v_ords)]);
    FOR v_no IN 1 .. cardinality(v_ords) LOOP
      IF v_steers[v_no] THEN
        v_steered[v_no] := steer_queued(v_tenants[v_no], v_keys[v_no], v_runs[v_no], v_tokens[v_no], v_numbers[v_no], v_now);
      END IF;
    END LOOP;
    RETURN QUERY
      UPDATE runs r SET checkpoint_no = i.no,
        failures = CASE WHEN jsonb_array_length(i.msgs) > 0 THEN 0 ELSE r.failures END, -- a message is progress, a started tool is not
        steps_done = r.steps_done + jsonb_array_length(i.steps)
      FROM unnest(v_ords, v_tenants, v_runs, v_heads, v_parents, v_numbers, v_steps, v_msgs, v_steered) AS i(ord, t, r, head, parent, no, steps, msgs, steered)
      WHERE r.tenant_id = i.t AND r.run_id = i.r
      RETURNING i.ord, i.head + 1, i.parent,
        i.head + jsonb_array_length(i.msgs) + coalesce(jsonb_array_length(i.steered), 0),
        floor(extract(epoch FROM v_now) * 1000)::double precision, r.abort_requested, i.steered;
  END IF;
  IF coalesce(cardinality(v_ords), 0) < jsonb_array_length(p_batch) THEN
    RETURN QUERY
      SELECT b.ord, m.seq, m.parent_id, l.head_seq, floor(extract(epoch FROM m.created_at) * 1000)::double precision, r.abort_requested,
        CASE WHEN b.steer THEN steered_before(b.t, b.s, b.r, b.tok, b.no, r.user_seq) END
      FROM jsonb_to_recordset(p_batch) AS b(ord integer, t text, s text, r text, tok bigint, no integer, msgs jsonb, steer boolean)
      JOIN session_leases l ON l.tenant_id = b.t AND l.session_key = b.s AND l.fencing_token = b.tok AND l.run_id = b.r
      JOIN runs r ON r.tenant_id = b.t AND r.run_id = b.r
      LEFT JOIN LATERAL first_appended(b.t, b.s, r.user_seq, b.msgs) m ON true
      WHERE b.ord <> ALL (coalesce(v_ords, '{}'));
  END IF;
END $$;

-- Records that the body of a row lies in an object, and that of the run's input with it where it is the same: the input
-- of the run whose message it is, which for a steered one is not the run that the row belongs to. Under the lease row, as
-- every write of a transcript. Repeating it does nothing, nor does it touch a row that has been sealed: its body is gone
-- already. The seq of a deleted session is no later one's.
CREATE OR REPLACE FUNCTION move_body(p_tenant text, p_key text, p_seq bigint, p_sha256 text, p_bytes bigint) RETURNS void
LANGUAGE plpgsql SET search_path = openclaw_ha, pg_temp SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
  v_run text;
BEGIN
  PERFORM FROM session_leases l WHERE l.tenant_id = p_tenant AND l.session_key = p_key FOR UPDATE;
  UPDATE messages m SET body = NULL, object_sha256 = p_sha256, object_bytes = p_bytes
  WHERE m.tenant_id = p_tenant AND m.session_key = p_key AND m.seq = p_seq AND m.body IS NOT NULL
  RETURNING CASE WHEN m.idempotency_key LIKE '%:user' THEN left(m.idempotency_key, -5) ELSE m.run_id END INTO v_run;
  IF NOT FOUND THEN RETURN; END IF;
  UPDATE runs r SET input_body = NULL, input_sha256 = p_sha256, input_bytes = p_bytes
  WHERE r.tenant_id = p_tenant AND r.run_id = v_run AND r.user_seq = p_seq AND r.input_body IS NOT NULL;
  INSERT INTO artifacts (tenant_id, sha256, bytes, kind) VALUES (p_tenant, p_sha256, p_bytes, 'message') ON CONFLICT DO NOTHING;
END $$;

REVOKE ALL ON FUNCTION steered_run(runs, bigint, text, timestamptz), collectable_text(json),
  steer_queued(text, text, text, bigint, integer, timestamptz), steered_before(text, text, text, bigint, integer, bigint),
  collect_queued(session_grant, timestamptz), checkpoint_runs(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION checkpoint_runs(jsonb) TO openclaw_ha_app;
