-- Sizes of the pools: what is wanted, who decided it and why, who may decide, and how loaded the instances are.
--   compatible: first revision
--   lock: none that matters (new functions)
--
-- Times leave as milliseconds of the database's clock: whoever decides compares them with nothing else.

-- Takes the lease if it is free or its holder is late, and renews it for who has it. Locked by the row, decided by this
-- clock. Each change of the holder raises the token, and so does a holder that let it lapse.
--   returns  the token; no row while somebody else has it
CREATE FUNCTION lead_control(p_name text, p_holder text, p_ttl_ms integer) RETURNS TABLE (token bigint)
LANGUAGE sql SECURITY DEFINER SET search_path = openclaw_ha, pg_temp
AS $$
  INSERT INTO control_leases AS l (name, holder, token, expires_at)
  VALUES (p_name, p_holder, 1, clock_timestamp() + make_interval(secs => p_ttl_ms / 1000.0))
  ON CONFLICT (name) DO UPDATE SET
    token = l.token + CASE WHEN l.holder = excluded.holder AND l.expires_at > clock_timestamp() THEN 0 ELSE 1 END,
    holder = excluded.holder, expires_at = clock_timestamp() + make_interval(secs => p_ttl_ms / 1000.0)
  WHERE l.holder = excluded.holder OR l.expires_at <= clock_timestamp()
  RETURNING l.token
$$;

-- Gives the lease up, so that the next one need not wait for it to lapse.
CREATE FUNCTION resign_control(p_name text, p_holder text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = openclaw_ha, pg_temp
AS $$
  UPDATE control_leases SET expires_at = '-infinity' WHERE name = p_name AND holder = p_holder
$$;

CREATE FUNCTION report_load(p_instance text, p_pool text, p_load jsonb) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = openclaw_ha, pg_temp
AS $$
  INSERT INTO instance_loads (instance, pool, load) VALUES (p_instance, p_pool, p_load)
  ON CONFLICT (instance) DO UPDATE SET pool = excluded.pool, load = excluded.load, reported_at = clock_timestamp()
$$;

CREATE FUNCTION forget_load(p_instance text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = openclaw_ha, pg_temp
AS $$
  DELETE FROM instance_loads WHERE instance = p_instance
$$;

-- What is wanted of each pool, and its newest decisions.
CREATE FUNCTION pool_sizes(p_decisions integer)
RETURNS TABLE (pool text, desired integer, policy jsonb, decisions jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = openclaw_ha, pg_temp
AS $$
  SELECT s.pool, s.desired, s.policy, coalesce((
    SELECT jsonb_agg(jsonb_build_object('pool', d.pool, 'from', d.from_size, 'to', d.to_size, 'reason', d.reason, 'by', d.decided_by,
      'at', epoch_ms(d.decided_at)) ORDER BY d.id DESC)
    FROM (SELECT * FROM scaling_decisions x WHERE x.pool = s.pool ORDER BY x.id DESC LIMIT p_decisions) d), '[]')
  FROM pool_sizes s ORDER BY s.pool
$$;

-- Loads that are not older than p_max_age_ms, and the demand of each lane: the sessions that wait and those that run.
-- Pools of tenants that no live worker serves are left out: more workers of the kind there is would not help them.
CREATE FUNCTION observe_load(p_max_age_ms integer) RETURNS TABLE (at double precision, loads jsonb, lanes jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = openclaw_ha, pg_temp SET enable_seqscan = off SET jit = off
AS $$
  SELECT epoch_ms(clock_timestamp()),
    coalesce((SELECT jsonb_agg(l.load || jsonb_build_object('instance', l.instance, 'pool', l.pool) ORDER BY l.instance)
      FROM instance_loads l WHERE l.reported_at > clock_timestamp() - make_interval(secs => p_max_age_ms / 1000.0)), '[]'),
    coalesce((SELECT jsonb_agg(jsonb_build_object('tenant', d.tenant_id, 'lane', d.lane, 'ready', d.ready, 'running', d.running,
        'oldestReadyMs', floor(extract(epoch FROM clock_timestamp() - d.oldest) * 1000)))
      FROM (
        SELECT x.tenant_id, x.lane, count(x.ready_since) AS ready, count(x.worker_id) AS running, min(x.ready_since) AS oldest
        FROM (
          SELECT tenant_id, pool, lane, ready_since, NULL::text AS worker_id FROM session_leases WHERE ready_since IS NOT NULL
          UNION ALL
          SELECT tenant_id, pool, lane, NULL, worker_id FROM session_leases WHERE worker_id IS NOT NULL
        ) x
        WHERE x.pool IN (SELECT unnest(w.pools) FROM workers w WHERE w.state = 'live')
        GROUP BY x.tenant_id, x.lane
      ) d), '[]')
$$;

-- Changes a size under the lease. The lease's row is locked first: a successor waits, or has raised the token.
--   returns  false where the lease is not the caller's any more, or the size or the policy was changed meanwhile
CREATE FUNCTION decide_size(p_name text, p_holder text, p_token bigint, p_pool text, p_from integer, p_to integer, p_reason text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = openclaw_ha, pg_temp
AS $$
BEGIN
  PERFORM FROM control_leases WHERE name = p_name AND holder = p_holder AND token = p_token AND expires_at > clock_timestamp() FOR UPDATE;
  IF NOT FOUND THEN RETURN false; END IF;
  UPDATE pool_sizes SET desired = p_to, token = p_token
  WHERE pool = p_pool AND desired = p_from AND token <= p_token AND (policy ->> 'auto')::boolean;
  IF NOT FOUND THEN RETURN false; END IF;
  INSERT INTO scaling_decisions (pool, from_size, to_size, reason, decided_by) VALUES (p_pool, p_from, p_to, p_reason, p_holder);
  DELETE FROM scaling_decisions WHERE decided_at < clock_timestamp() - interval '7 days';
  RETURN true;
END $$;

-- What an operator wants. Operators only: not granted to the application. Without p_desired a size that is known stays.
CREATE FUNCTION set_pool_size(p_pool text, p_desired integer, p_otherwise integer, p_policy jsonb, p_reason text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = openclaw_ha, pg_temp
AS $$
DECLARE
  v_before integer;
  v_after  integer;
BEGIN
  INSERT INTO pool_sizes (pool, desired, policy) VALUES (p_pool, coalesce(p_desired, p_otherwise), p_policy) ON CONFLICT DO NOTHING;
  SELECT desired INTO v_before FROM pool_sizes WHERE pool = p_pool FOR UPDATE;
  UPDATE pool_sizes SET desired = coalesce(p_desired, desired), policy = p_policy WHERE pool = p_pool RETURNING desired INTO v_after;
  IF v_after <> v_before THEN
    INSERT INTO scaling_decisions (pool, from_size, to_size, reason, decided_by) VALUES (p_pool, v_before, v_after, p_reason, 'operator');
  END IF;
END $$;

REVOKE ALL ON FUNCTION lead_control(text, text, integer), resign_control(text, text), report_load(text, text, jsonb),
  forget_load(text), pool_sizes(integer), observe_load(integer),
  decide_size(text, text, bigint, text, integer, integer, text), set_pool_size(text, integer, integer, jsonb, text)
  FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lead_control(text, text, integer), resign_control(text, text),
  report_load(text, text, jsonb), forget_load(text), pool_sizes(integer), observe_load(integer),
  decide_size(text, text, bigint, text, integer, integer, text) TO openclaw_ha_app;
