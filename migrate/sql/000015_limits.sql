-- Limits of tenants: how much one of them may have under way, wait, hold and keep. The deployment's defaults, changed by
-- what is said of the tenant, stand as one value in its row, so that whoever decides reads that row alone.
--   compatible: first revision
--   lock: none that matters (new functions)
--
-- Requests and tokens a minute are counted outside of the database (ports/rate-limiter.ts). What is counted here is
-- counted in the statement that accepts, and only where the tenant has such a limit: everybody else's requests are
-- accepted by accept_runs alone, which reads one column more of a row it reads anyway.

INSERT INTO default_limits (limits) VALUES ('{}');

CREATE FUNCTION keep_effective_limits() RETURNS trigger LANGUAGE plpgsql
SET search_path = openclaw_ha, pg_temp
AS $$
BEGIN
  NEW.effective_limits := jsonb_strip_nulls((SELECT d.limits FROM default_limits d) || NEW.limits);
  RETURN NEW;
END $$;

CREATE TRIGGER effective_limits BEFORE INSERT OR UPDATE ON tenants FOR EACH ROW EXECUTE FUNCTION keep_effective_limits();

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

-- Operators: what a tenant has of what can be limited. No row: no such tenant.
CREATE FUNCTION tenant_usage(p_tenant text) RETURNS TABLE (sessions bigint, running_runs bigint, queued_runs bigint, storage_bytes bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = openclaw_ha, pg_temp SET enable_seqscan = off
AS $$
  SELECT (SELECT count(*) FROM sessions s WHERE s.tenant_id = p_tenant),
    (SELECT count(*) FROM runs r WHERE r.tenant_id = p_tenant AND r.ended_at IS NULL AND r.status = 'running'),
    (SELECT count(*) FROM runs r WHERE r.tenant_id = p_tenant AND r.ended_at IS NULL AND r.status = 'queued'),
    stored_bytes(p_tenant)
  FROM tenants t WHERE t.tenant_id = p_tenant AND t.removed_at IS NULL
$$;

REVOKE ALL ON FUNCTION keep_effective_limits(), stored_bytes(text), measure_storage(integer), limits_lock(text),
  sessions_full(text, integer), check_new_session(text, text), accept_limited(jsonb, integer),
  set_tenant_limits(text, jsonb), set_default_limits(jsonb), tenant_usage(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION measure_storage(integer), check_new_session(text, text) TO openclaw_ha_app;
