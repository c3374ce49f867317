-- Accepting runs: idempotency record, session, lease row and run, decided and written by one call for a whole batch.
--   compatible: first revision
--   lock: none that matters (new functions)
--
-- Lock order, here and in every function that follows: idempotency keys in order, then lease rows in order of
-- (tenant_id, session_key), then artifacts in order of their hash; rows of runs, messages, steps and sessions are only
-- written under their lease row. So no two calls can wait for each other in a circle.
--
-- Settings of every function on the hot path: plans are made once and must not depend on how full the tables were at
-- that moment, so scans and hash joins of whole tables are off, and the JIT compiler, which the cost of a switched-off
-- plan would wake up in releases before 18, is off too. Every plan is a generic one: a plan made for one value counts on
-- what the statistics say of it, and of a tenant that they do not know they say "hardly a row"; then an index that
-- begins with the tenant looks as good as the primary key, and all its sessions or runs are read. The pool does the same
-- for single statements (adapters/postgres/pool.ts).

CREATE FUNCTION epoch_ms(p_at timestamptz) RETURNS double precision LANGUAGE sql STABLE AS $$
  SELECT floor(extract(epoch FROM p_at) * 1000)::double precision
$$;

-- One row of runs as the processes know it (core/run.ts, RunRecord). Times are epoch milliseconds.
CREATE FUNCTION run_record(r runs) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
  SELECT jsonb_build_object(
    'tenant', r.tenant_id, 'runId', r.run_id, 'sessionKey', r.session_key, 'sessionId', r.session_id,
    'agentId', r.agent_id, 'lane', r.lane, 'status', r.status, 'attempt', r.attempt, 'failures', r.failures,
    'worker', r.worker_id,
    'acceptedAt', floor(extract(epoch FROM r.accepted_at) * 1000),
    'startedAt', floor(extract(epoch FROM r.started_at) * 1000),
    'endedAt', floor(extract(epoch FROM r.ended_at) * 1000),
    'abortRequested', r.abort_requested, 'result', r.result, 'error', r.error)
$$;

-- Marks what is under way in the sessions given as aborted: a run that was begun and has not ended, also one that lost
-- its worker and waits for the next. Caller holds the lease rows.
CREATE FUNCTION interrupt_sessions(p_tenants text[], p_keys text[]) RETURNS void
LANGUAGE sql SECURITY DEFINER
SET search_path = openclaw_ha, pg_temp SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
  UPDATE runs r SET abort_requested = true
  FROM (SELECT DISTINCT * FROM unnest(p_tenants, p_keys) AS k(t, s)) k
  WHERE r.tenant_id = k.t AND r.session_key = k.s AND r.ended_at IS NULL AND r.started_at IS NOT NULL AND NOT r.abort_requested
$$;

-- Accepts a batch of requests.
--   p_batch       array of {ord, t: tenant, k: key, s: session key, a: agent, l: lane, h: request hash (hex), sid: id of a
--                 new session, ib: input body as JSON text | null, is/in: sha256 and bytes of an input object | null,
--                 ti: beginning of the text | null, o: options, qm: queue mode | null, qd: the one where neither this nor
--                 the session has one | null, adm: true where the tenant's limits have been looked at}
--   p_max_queued  runs that may wait in one session
--   returns       one row per request, in any order. kind: new (with session_id, pool, became_ready, accepted_at, and
--                 interrupted: {runId, worker} of the run under way that it aborts), existing (with run), conflict,
--                 session-queue-full, tenant-disabled, or what accept_limited refuses
-- Idempotent: the same batch again answers `existing` for what it accepted.
CREATE FUNCTION accept_runs(p_batch jsonb, p_max_queued integer)
RETURNS TABLE (ord integer, kind text, session_id text, pool text, became_ready boolean, accepted_at double precision, run jsonb,
  interrupted jsonb)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = openclaw_ha, pg_temp SET enable_seqscan = off SET enable_nestloop = off
SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
-- Nested loops are off here: what is joined is the batch with itself; tables are read by key, in subqueries that can
-- be nothing else.
#variable_conflict use_column
DECLARE
  v_now  timestamptz := clock_timestamp();
  v_seen integer[] := '{}';
  v_full integer[] := '{}';
  v_busy_tenants text[] := '{}'; -- of the sessions that are interrupted
  v_busy_keys    text[] := '{}';
  v_limited jsonb;
  v_row  record;
BEGIN
  FOR v_row IN
    WITH req AS MATERIALIZED (
      SELECT * FROM (
        SELECT b.*, (SELECT t.pool FROM tenants t WHERE t.tenant_id = b.t AND NOT t.disabled AND (NOT t.limited OR b.adm)) AS pool
        FROM jsonb_to_recordset(p_batch)
          AS b(ord integer, t text, k text, s text, a text, l text, h text, sid text, ib text, "is" text, "in" bigint, ti text, o jsonb,
            qm text, qd text, adm boolean)
      ) x WHERE x.pool IS NOT NULL
    ), keys AS (
      INSERT INTO idempotency_records AS i (tenant_id, idempotency_key, session_key, request_hash, created_at)
      SELECT DISTINCT ON (t, k) t, k, s, decode(h, 'hex'), v_now FROM req ORDER BY t, k, ord
      ON CONFLICT DO NOTHING -- waits for a racing accept of the same key to commit or vanish
      RETURNING i.tenant_id, i.idempotency_key
    ), fresh AS MATERIALIZED (
      SELECT DISTINCT ON (req.t, req.k) req.*
      FROM req JOIN keys ON keys.tenant_id = req.t AND keys.idempotency_key = req.k
      ORDER BY req.t, req.k, req.ord
    ), lease AS (
      INSERT INTO session_leases AS l (tenant_id, session_key, session_id, pool, lane, queued, next_order, ready_since)
      SELECT t, s, (array_agg(sid ORDER BY ord))[1], min(pool), (array_agg(l ORDER BY ord))[1], count(*), count(*), v_now
      FROM fresh GROUP BY t, s ORDER BY t, s
      ON CONFLICT (tenant_id, session_key) DO UPDATE SET
        session_id = coalesce(l.session_id, excluded.session_id),
        pool = excluded.pool,
        lane = CASE WHEN l.queued = 0 AND l.worker_id IS NULL THEN excluded.lane ELSE l.lane END,
        queued = l.queued + excluded.queued,
        next_order = l.next_order + excluded.next_order,
        ready_since = CASE WHEN l.worker_id IS NULL THEN coalesce(l.ready_since, v_now) END
      WHERE l.queued + excluded.queued <= p_max_queued
      RETURNING l.tenant_id, l.session_key, l.session_id, l.pool, l.queued, l.next_order, l.worker_id, l.run_id
    ), ordered AS (
      SELECT fresh.*, lease.session_id AS real_sid, lease.worker_id, lease.run_id AS running,
        lease.next_order - count(*) OVER w_all + row_number() OVER w_ord AS run_order,
        lease.worker_id IS NULL AND lease.queued = count(*) OVER w_all AND row_number() OVER w_ord = 1 AS became_ready
      FROM fresh JOIN lease ON lease.tenant_id = fresh.t AND lease.session_key = fresh.s
      WINDOW w_all AS (PARTITION BY fresh.t, fresh.s), w_ord AS (PARTITION BY fresh.t, fresh.s ORDER BY fresh.ord)
    ), placed AS MATERIALIZED (
      -- Who finds the session idle is next in any mode: only of busy sessions the row of settings is read.
      SELECT o.*, CASE WHEN o.became_ready THEN 'followup' ELSE coalesce(o.qm, CASE WHEN o.qd IS NOT NULL THEN
        coalesce((SELECT s.queue_mode FROM sessions s WHERE s.tenant_id = o.t AND s.session_key = o.s), o.qd) END, 'followup') END AS mode
      FROM ordered o
    ), new_sessions AS (
      INSERT INTO sessions (tenant_id, session_key, session_id, agent_id, created_at, updated_at)
      SELECT DISTINCT ON (t, s) t, s, real_sid, a, v_now, v_now FROM placed ORDER BY t, s, ord
      ON CONFLICT DO NOTHING
    ), new_runs AS (
      INSERT INTO runs (tenant_id, run_id, session_key, session_id, agent_id, lane, run_order, accepted_at,
        input_body, input_sha256, input_bytes, title, options, queue_mode)
      SELECT t, k, s, real_sid, a, l, run_order, v_now, ib::json, "is", "in", ti, o, mode FROM placed
    ), new_artifacts AS (
      INSERT INTO artifacts (tenant_id, sha256, bytes, kind)
      SELECT t, "is", "in", 'message' FROM placed WHERE "is" IS NOT NULL ORDER BY 1, 2
      ON CONFLICT DO NOTHING
    )
    SELECT f.ord, f.t, f.s, p.real_sid, p.pool, p.became_ready, p.mode, p.worker_id, p.running FROM fresh f LEFT JOIN placed p ON p.ord = f.ord
  LOOP
    v_seen := v_seen || v_row.ord;
    IF v_row.real_sid IS NULL THEN
      v_full := v_full || v_row.ord;
      CONTINUE;
    END IF;
    ord := v_row.ord; kind := 'new'; run := NULL; session_id := v_row.real_sid; pool := v_row.pool;
    became_ready := v_row.became_ready; accepted_at := floor(extract(epoch FROM v_now) * 1000);
    interrupted := NULL;
    IF v_row.mode = 'interrupt' THEN
      v_busy_tenants := v_busy_tenants || v_row.t;
      v_busy_keys := v_busy_keys || v_row.s;
      IF v_row.running IS NOT NULL THEN
        interrupted := jsonb_build_object('runId', v_row.running, 'worker', v_row.worker_id);
      END IF;
    END IF;
    RETURN NEXT;
  END LOOP;
  IF v_busy_keys <> '{}' THEN
    -- A statement of its own: it sees whatever was granted before the leases were locked here.
    PERFORM interrupt_sessions(v_busy_tenants, v_busy_keys);
  END IF;

  -- Refused means: nothing of it is kept, so that a retry is a new request. What came together with others for the
  -- same session is tried once more alone: a part of it may still fit.
  FOR v_row IN
    SELECT b.item, b.item ->> 't' AS t, b.item ->> 'k' AS k, count(*) OVER (PARTITION BY b.item ->> 't', b.item ->> 's') AS together
    FROM jsonb_array_elements(p_batch) AS b(item) WHERE (b.item ->> 'ord')::integer = ANY (v_full)
    ORDER BY (b.item ->> 'ord')::integer
  LOOP
    DELETE FROM idempotency_records i WHERE i.tenant_id = v_row.t AND i.idempotency_key = v_row.k;
    IF v_row.together = 1 THEN
      ord := (v_row.item ->> 'ord')::integer; kind := 'session-queue-full'; run := NULL;
      session_id := NULL; pool := NULL; became_ready := false; accepted_at := NULL; interrupted := NULL;
      RETURN NEXT;
    ELSE
      RETURN QUERY SELECT * FROM accept_runs(jsonb_build_array(v_row.item), p_max_queued);
    END IF;
  END LOOP;

  IF cardinality(v_seen) < jsonb_array_length(p_batch) THEN
    SELECT coalesce(jsonb_agg(b.item ORDER BY (b.item ->> 'ord')::integer), '[]') INTO v_limited
    FROM jsonb_array_elements(p_batch) AS b(item)
    JOIN tenants t ON t.tenant_id = b.item ->> 't'
    WHERE t.limited AND NOT t.disabled AND b.item ->> 'adm' IS NULL AND (b.item ->> 'ord')::integer <> ALL (v_seen);
    IF v_limited <> '[]' THEN
      v_seen := v_seen || ARRAY(SELECT (l.item ->> 'ord')::integer FROM jsonb_array_elements(v_limited) AS l(item));
      RETURN QUERY SELECT * FROM accept_limited(v_limited, p_max_queued);
    END IF;
    -- A statement of its own: its snapshot shows what a racing accept has committed meanwhile.
    RETURN QUERY
      SELECT b.ord,
        CASE WHEN t.tenant_id IS NULL OR t.disabled THEN 'tenant-disabled'
             WHEN i.tenant_id IS NULL THEN 'session-queue-full' -- a duplicate of a request refused in this batch
             WHEN i.session_key = b.s AND i.request_hash = decode(b.h, 'hex') THEN 'existing'
             ELSE 'conflict' END,
        NULL::text, NULL::text, false, NULL::double precision,
        CASE WHEN i.session_key = b.s AND i.request_hash = decode(b.h, 'hex') AND NOT t.disabled THEN r.record END,
        NULL::jsonb
      FROM jsonb_to_recordset(p_batch) AS b(ord integer, t text, k text, s text, h text)
      LEFT JOIN LATERAL (SELECT * FROM tenants t WHERE t.tenant_id = b.t LIMIT 1) t ON true
      LEFT JOIN LATERAL (SELECT * FROM idempotency_records i WHERE i.tenant_id = b.t AND i.idempotency_key = b.k LIMIT 1) i ON true
      LEFT JOIN LATERAL (SELECT run_record(r) AS record FROM runs r WHERE r.tenant_id = b.t AND r.run_id = b.k LIMIT 1) r ON true
      WHERE b.ord <> ALL (v_seen);
  END IF;
END $$;

REVOKE ALL ON FUNCTION interrupt_sessions(text[], text[]), accept_runs(jsonb, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION run_record(runs), accept_runs(jsonb, integer) TO openclaw_ha_app;
