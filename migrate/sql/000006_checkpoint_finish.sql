-- Checkpointing and finishing: what a run writes, guarded by its fencing token. A checkpoint before a model call lets queued
-- runs of mode `steer` join the run; what joined has ended in the same statement.
--   compatible: first revision
--   lock: none that matters (new functions)

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

-- Ends granted runs; takes the next run of each session for the same worker, or releases the lease: so no
-- wake-up is lost. Of a tenant that another pool serves by now the lease is released.
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

REVOKE ALL ON FUNCTION append_work(text[], text[], text[], bigint[], bigint[], text[], jsonb[], jsonb[], timestamptz),
  first_appended(text, text, bigint, jsonb), steered_run(runs, bigint, text, timestamptz),
  steer_queued(text, text, text, bigint, integer, timestamptz),
  steered_before(text, text, text, bigint, integer, bigint), checkpoint_runs(jsonb), finish_runs(jsonb, integer)
  FROM PUBLIC;
GRANT EXECUTE ON FUNCTION checkpoint_runs(jsonb), finish_runs(jsonb, integer) TO openclaw_ha_app;
