-- Limits of tenants: how much one of them may have under way, wait, hold and keep. The deployment's defaults, changed by
-- what is said of the tenant, stand as one value in its row, so that whoever decides reads that row alone.
--   compatible: yes (columns with defaults; the previous release accepts through the same function, and its answer to a
--               kind that it does not know is an error to the client)
--   lock: tenants, exclusively, while its few rows are written anew
--
-- Requests and tokens a minute are counted outside of the database (ports/rate-limiter.ts). What is counted here is
-- counted in the statement that accepts, and only where the tenant has such a limit: everybody else's requests are
-- accepted by the statement that they were accepted by before, which reads one column more of a row it reads anyway.

ALTER TABLE tenants
  ADD COLUMN limits jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(limits) = 'object'),
  ADD COLUMN effective_limits jsonb NOT NULL DEFAULT '{}';
ALTER TABLE tenants ADD COLUMN limited boolean NOT NULL
  GENERATED ALWAYS AS (effective_limits ?| ARRAY['concurrentRuns','queuedRuns','sessions','storageBytes']) STORED;
COMMENT ON COLUMN tenants.limits IS 'what was said of this tenant (core/tenant-limits.ts); a null is no limit, an absent name the default';
COMMENT ON COLUMN tenants.effective_limits IS 'defaults and limits together, without nulls; kept by a trigger';
COMMENT ON COLUMN tenants.limited IS 'true where accepting has something to count';

CREATE TABLE default_limits (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  limits   jsonb NOT NULL CHECK (jsonb_typeof(limits) = 'object')
);
INSERT INTO default_limits (limits) VALUES ('{}');

CREATE FUNCTION keep_effective_limits() RETURNS trigger LANGUAGE plpgsql
SET search_path = openclaw_ha, pg_temp
AS $$
BEGIN
  NEW.effective_limits := jsonb_strip_nulls((SELECT d.limits FROM default_limits d) || NEW.limits);
  RETURN NEW;
END $$;
CREATE TRIGGER effective_limits BEFORE INSERT OR UPDATE ON tenants FOR EACH ROW EXECUTE FUNCTION keep_effective_limits();

-- What tenants keep, as it was measured last: only of those that have a limit of storage.
CREATE TABLE tenant_storage (
  tenant_id   text COLLATE "C" PRIMARY KEY,
  bytes       bigint NOT NULL,
  measured_at timestamptz NOT NULL
);
ALTER TABLE tenant_storage ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenant_storage FORCE ROW LEVEL SECURITY;
CREATE POLICY every_tenant ON tenant_storage TO openclaw_ha_owner USING (true) WITH CHECK (true);

-- Bytes of a tenant: its objects, and the bodies that lie in rows.
CREATE FUNCTION stored_bytes(p_tenant text) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = openclaw_ha, pg_temp SET enable_seqscan = off
AS $$
  SELECT coalesce((SELECT sum(a.bytes) FROM artifacts a WHERE a.tenant_id = p_tenant), 0)::bigint
    + coalesce((SELECT sum(pg_column_size(m.body)) FROM messages m WHERE m.tenant_id = p_tenant), 0)::bigint
$$;

-- Measures what tenants with a limit of storage keep, those whose measure is older than that.
CREATE FUNCTION measure_storage(p_max_age_ms integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = openclaw_ha, pg_temp
AS $$
DECLARE
  v_tenant text;
  v_count  integer := 0;
BEGIN
  FOR v_tenant IN
    SELECT t.tenant_id FROM tenants t LEFT JOIN tenant_storage s USING (tenant_id)
    WHERE t.effective_limits ? 'storageBytes'
      AND coalesce(s.measured_at, '-infinity') <= clock_timestamp() - make_interval(secs => p_max_age_ms / 1000.0)
    ORDER BY s.measured_at NULLS FIRST LIMIT 16
  LOOP
    INSERT INTO tenant_storage (tenant_id, bytes, measured_at) VALUES (v_tenant, stored_bytes(v_tenant), clock_timestamp())
    ON CONFLICT (tenant_id) DO UPDATE SET bytes = excluded.bytes, measured_at = excluded.measured_at;
    v_count := v_count + 1;
  END LOOP;
  RETURN v_count;
END $$;

-- Who counts for a tenant waits here for whoever does at the moment, and sees then what that one has accepted.
CREATE FUNCTION limits_lock(p_tenant text) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
  SELECT hashtextextended('openclaw_ha.limits' || E'\x1f' || p_tenant, 0)
$$;

-- Whether the tenant has as many sessions as it may. Reads as many entries of an index as the limit says.
CREATE FUNCTION sessions_full(p_tenant text, p_limit integer) RETURNS boolean
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = openclaw_ha, pg_temp SET enable_seqscan = off
AS $$
  SELECT count(*) >= p_limit FROM (SELECT FROM sessions s WHERE s.tenant_id = p_tenant LIMIT p_limit) x
$$;

-- Refuses (HA003, the reason as its message) a session beyond the tenant's limit; for statements that make one without a run.
CREATE FUNCTION check_new_session(p_tenant text, p_key text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = openclaw_ha, pg_temp
AS $$
DECLARE
  v_limit integer := (SELECT (t.effective_limits ->> 'sessions')::integer FROM tenants t WHERE t.tenant_id = p_tenant);
BEGIN
  IF v_limit IS NULL THEN RETURN; END IF;
  PERFORM pg_advisory_xact_lock(limits_lock(p_tenant));
  IF sessions_full(p_tenant, v_limit) AND NOT EXISTS (
    SELECT FROM sessions s WHERE s.tenant_id = p_tenant AND s.session_key = p_key)
  THEN
    RAISE EXCEPTION 'tenant-sessions' USING ERRCODE = 'HA003';
  END IF;
END $$;

CREATE OR REPLACE FUNCTION create_session(p_tenant text, p_key text, p_agent text, p_session_id text, p_via text, p_pool text) RETURNS boolean
LANGUAGE plpgsql SET search_path = openclaw_ha, pg_temp
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

-- Looks at the limits of the tenants of a batch and accepts what they leave room for. The tenants' locks are taken first,
-- in order; the counts are read under them.
--   p_batch  items of accept_runs, of tenants that are limited and not disabled
--   returns  as accept_runs; of what is refused kind tenant-concurrent-runs, tenant-queued-runs, tenant-sessions or
--            tenant-storage, and nothing of it is kept
-- A key that is known is answered whatever the limits: it asks for nothing new.
CREATE FUNCTION accept_limited(p_batch jsonb, p_max_queued integer)
RETURNS TABLE (ord integer, kind text, session_id text, pool text, became_ready boolean, accepted_at double precision, run jsonb,
  interrupted jsonb)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = openclaw_ha, pg_temp SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
  v_limits   jsonb;
  v_queued   integer; -- runs that wait to begin
  v_busy     text[];  -- sessions with a run that has not ended
  v_new      text[];  -- sessions that this batch makes
  v_keys     text[];  -- keys that this batch has let in
  v_sessions integer;
  v_full     boolean;
  v_admitted jsonb := '[]';
  v_tenant   text;
  v_row      record;
BEGIN
  FOR v_tenant IN SELECT DISTINCT b.t FROM jsonb_to_recordset(p_batch) AS b(t text) ORDER BY 1 LOOP
    PERFORM pg_advisory_xact_lock(limits_lock(v_tenant));
  END LOOP;
  FOR v_tenant IN SELECT DISTINCT b.t FROM jsonb_to_recordset(p_batch) AS b(t text) ORDER BY 1 LOOP
    SELECT t.effective_limits INTO v_limits FROM tenants t WHERE t.tenant_id = v_tenant;
    v_queued := 0; v_busy := '{}'; v_new := '{}'; v_keys := '{}';
    IF v_limits ? 'queuedRuns' THEN
      SELECT count(*) INTO v_queued FROM (
        SELECT FROM runs r WHERE r.tenant_id = v_tenant AND r.ended_at IS NULL AND r.status = 'queued'
        LIMIT (v_limits ->> 'queuedRuns')::integer) x;
    END IF;
    IF v_limits ? 'concurrentRuns' THEN
      v_busy := ARRAY(SELECT DISTINCT r.session_key FROM runs r WHERE r.tenant_id = v_tenant AND r.ended_at IS NULL);
    END IF;
    IF v_limits ? 'sessions' THEN
      SELECT count(*) INTO v_sessions FROM (
        SELECT FROM sessions s WHERE s.tenant_id = v_tenant LIMIT (v_limits ->> 'sessions')::integer) x;
    END IF;
    v_full := v_limits ? 'storageBytes' AND coalesce(
      (SELECT s.bytes >= (v_limits ->> 'storageBytes')::bigint FROM tenant_storage s WHERE s.tenant_id = v_tenant), false);
    FOR v_row IN
      SELECT b.item, (b.item ->> 'ord')::integer AS ord, b.item ->> 'k' AS k, b.item ->> 's' AS s
      FROM jsonb_array_elements(p_batch) AS b(item) WHERE b.item ->> 't' = v_tenant ORDER BY 2
    LOOP
      kind := NULL;
      IF NOT (v_row.k = ANY (v_keys)
        OR EXISTS (SELECT FROM idempotency_records i WHERE i.tenant_id = v_tenant AND i.idempotency_key = v_row.k))
      THEN
        IF v_full THEN
          kind := 'tenant-storage';
        ELSIF v_limits ? 'sessions' AND v_row.s <> ALL (v_new)
          AND NOT EXISTS (SELECT FROM sessions s WHERE s.tenant_id = v_tenant AND s.session_key = v_row.s)
        THEN
          IF v_sessions + cardinality(v_new) >= (v_limits ->> 'sessions')::integer THEN
            kind := 'tenant-sessions';
          ELSE
            v_new := v_new || v_row.s;
          END IF;
        END IF;
        IF kind IS NULL AND v_queued >= (v_limits ->> 'queuedRuns')::integer THEN kind := 'tenant-queued-runs'; END IF;
        IF kind IS NULL AND v_row.s <> ALL (v_busy) THEN
          IF cardinality(v_busy) >= (v_limits ->> 'concurrentRuns')::integer THEN
            kind := 'tenant-concurrent-runs';
          ELSE
            v_busy := v_busy || v_row.s;
          END IF;
        END IF;
        IF kind IS NULL THEN
          v_queued := v_queued + 1;
          v_keys := v_keys || v_row.k;
        ELSE
          ord := v_row.ord; became_ready := false;
          RETURN NEXT;
          CONTINUE;
        END IF;
      END IF;
      v_admitted := v_admitted || (v_row.item || '{"adm": true}');
    END LOOP;
  END LOOP;
  IF v_admitted <> '[]' THEN
    RETURN QUERY SELECT * FROM accept_runs(v_admitted, p_max_queued);
  END IF;
END $$;

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
CREATE OR REPLACE FUNCTION accept_runs(p_batch jsonb, p_max_queued integer)
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

-- Operators: changes what is said of a tenant. Returns whether there is such a tenant.
--   p_limits  {name: number | null for no limit}; a name that is not there follows the default
CREATE FUNCTION set_tenant_limits(p_tenant text, p_limits jsonb) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = openclaw_ha, pg_temp
AS $$
BEGIN
  UPDATE tenants t SET limits = p_limits WHERE t.tenant_id = p_tenant;
  IF NOT FOUND THEN RETURN false; END IF;
  INSERT INTO audit_log (tenant_id, action, target, details) VALUES (p_tenant, 'tenant.limits', p_tenant, p_limits);
  RETURN true;
END $$;

-- Operators: the limits of all tenants of which nothing else is said. Saying the same again writes nothing.
CREATE FUNCTION set_default_limits(p_limits jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = openclaw_ha, pg_temp
AS $$
BEGIN
  UPDATE default_limits d SET limits = p_limits WHERE d.limits <> p_limits;
  UPDATE tenants t SET limits = t.limits WHERE t.effective_limits <> jsonb_strip_nulls(p_limits || t.limits);
END $$;

DROP FUNCTION authenticate(bytea);
-- Whom a token belongs to, and the limits. No row: unknown, revoked, expired, or its tenant is disabled.
CREATE FUNCTION authenticate(p_hash bytea) RETURNS TABLE (tenant_id text, scopes text[], pool text, limits jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = openclaw_ha, pg_temp
AS $$
  SELECT k.tenant_id, k.scopes, t.pool, t.effective_limits FROM tokens k JOIN tenants t USING (tenant_id)
  WHERE k.token_hash = p_hash AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > clock_timestamp()) AND NOT t.disabled
$$;

-- Which of these tokens are good, with the limits of their tenants: what gateways ask for the clients that they have.
CREATE FUNCTION good_tokens(p_hashes bytea[]) RETURNS TABLE (token_hash bytea, tenant_id text, limits jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = openclaw_ha, pg_temp SET enable_seqscan = off SET enable_hashjoin = off
AS $$
  SELECT k.token_hash, k.tenant_id, t.effective_limits
  FROM unnest(p_hashes) AS asked(hash)
  CROSS JOIN LATERAL (SELECT * FROM tokens k WHERE k.token_hash = asked.hash LIMIT 1) k
  JOIN tenants t USING (tenant_id)
  WHERE k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > clock_timestamp()) AND NOT t.disabled
$$;

DROP FUNCTION list_tenants();
CREATE FUNCTION list_tenants()
RETURNS TABLE (tenant_id text, pool text, disabled boolean, created_at double precision, limits jsonb, effective_limits jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = openclaw_ha, pg_temp
AS $$
  SELECT t.tenant_id, t.pool, t.disabled, floor(extract(epoch FROM t.created_at) * 1000)::double precision, t.limits, t.effective_limits
  FROM tenants t ORDER BY 1
$$;

REVOKE ALL ON FUNCTION keep_effective_limits(), stored_bytes(text), measure_storage(integer), limits_lock(text), sessions_full(text, integer),
  check_new_session(text, text), accept_limited(jsonb, integer), set_tenant_limits(text, jsonb), set_default_limits(jsonb),
  authenticate(bytea), good_tokens(bytea[]), list_tenants() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION measure_storage(integer), check_new_session(text, text), authenticate(bytea), good_tokens(bytea[]),
  list_tenants() TO openclaw_ha_app;
