-- Tenants, their tokens, and the secrets that all gateways share: what one of them has signed for a short time is known to
-- the others (tickets of attachments, which a browser puts into the address of a picture).
--   compatible: first revision
--   lock: none that matters (new functions)

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

CREATE FUNCTION list_tenants()
RETURNS TABLE (tenant_id text, pool text, disabled boolean, created_at double precision, limits jsonb, effective_limits jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = openclaw_ha, pg_temp
AS $$
  SELECT t.tenant_id, t.pool, t.disabled, epoch_ms(t.created_at), t.limits, t.effective_limits
  FROM tenants t WHERE t.removed_at IS NULL ORDER BY 1
$$;

-- Operators: adds a tenant; one of this id is left as it is. Raises HA004 for the id of one that was removed.
CREATE FUNCTION add_tenant(p_tenant text, p_pool text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = openclaw_ha, pg_temp
AS $$
BEGIN
  INSERT INTO tenants (tenant_id, pool) VALUES (p_tenant, p_pool) ON CONFLICT DO NOTHING;
  IF FOUND THEN
    INSERT INTO audit_log (tenant_id, action, target) VALUES (p_tenant, 'tenant.added', p_tenant);
  ELSIF EXISTS (SELECT FROM tenants t WHERE t.tenant_id = p_tenant AND t.removed_at IS NOT NULL) THEN
    RAISE EXCEPTION 'tenant % was removed, and its id is not given out again', p_tenant USING ERRCODE = 'HA004';
  END IF;
END $$;

CREATE FUNCTION add_token(p_tenant text, p_hash bytea, p_scopes text[], p_label text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = openclaw_ha, pg_temp
AS $$
  WITH added AS (
    INSERT INTO tokens (token_hash, tenant_id, scopes, label) VALUES (p_hash, p_tenant, p_scopes, p_label) ON CONFLICT DO NOTHING RETURNING tenant_id
  )
  INSERT INTO audit_log (tenant_id, action, target) SELECT tenant_id, 'token.added', p_label FROM added
$$;

-- Makes a token the only one of its label: others of that tenant and label are revoked, and it is valid again if it was.
CREATE FUNCTION replace_token(p_tenant text, p_hash bytea, p_scopes text[], p_label text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = openclaw_ha, pg_temp
AS $$
BEGIN
  PERFORM add_token(p_tenant, p_hash, p_scopes, p_label);
  UPDATE tokens SET revoked_at = CASE WHEN token_hash = p_hash THEN NULL ELSE clock_timestamp() END
  WHERE tenant_id = p_tenant AND label = p_label AND (token_hash = p_hash) = (revoked_at IS NOT NULL);
  IF FOUND THEN
    INSERT INTO audit_log (tenant_id, action, target) VALUES (p_tenant, 'token.replaced', p_label);
  END IF;
END $$;

-- Operators: tokens of a tenant, the newest first.
CREATE FUNCTION list_tokens(p_tenant text)
RETURNS TABLE (token_hash bytea, label text, scopes text[], created_at double precision, revoked_at double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = openclaw_ha, pg_temp
AS $$
  SELECT k.token_hash, k.label, k.scopes, epoch_ms(k.created_at), epoch_ms(k.revoked_at) FROM tokens k
  WHERE k.tenant_id = p_tenant ORDER BY k.created_at DESC, k.token_hash
$$;

-- Operators: revokes the token of that hash, or those of a label. Returns how many were good before.
CREATE FUNCTION revoke_tokens(p_tenant text, p_hash bytea, p_label text) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = openclaw_ha, pg_temp
AS $$
  WITH revoked AS (
    UPDATE tokens k SET revoked_at = clock_timestamp()
    WHERE k.tenant_id = p_tenant AND k.revoked_at IS NULL AND (k.token_hash = p_hash OR (p_hash IS NULL AND k.label = p_label))
    RETURNING k.label
  ), noted AS (
    INSERT INTO audit_log (tenant_id, action, target) SELECT p_tenant, 'token.revoked', r.label FROM revoked r
  )
  SELECT count(*) FROM revoked
$$;

-- Operators only: not granted to the application. Returns whether there is such a tenant; saying the same again changes nothing.
CREATE FUNCTION set_tenant_disabled(p_tenant text, p_disabled boolean) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = openclaw_ha, pg_temp
AS $$
BEGIN
  UPDATE tenants SET disabled = p_disabled WHERE tenant_id = p_tenant AND disabled <> p_disabled AND removed_at IS NULL;
  IF FOUND THEN
    INSERT INTO audit_log (tenant_id, action, target)
    VALUES (p_tenant, CASE WHEN p_disabled THEN 'tenant.disabled' ELSE 'tenant.enabled' END, p_tenant);
    RETURN true;
  END IF;
  RETURN EXISTS (SELECT FROM tenants WHERE tenant_id = p_tenant AND removed_at IS NULL);
END $$;

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

-- Whom gateways send away; few, however many tenants there are.
CREATE FUNCTION disabled_tenants() RETURNS TABLE (tenant_id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = openclaw_ha, pg_temp
AS $$
  SELECT t.tenant_id FROM tenants t WHERE t.disabled ORDER BY 1
$$;

-- Operators: removes a part of what the database holds of a disabled tenant, at most p_max rows of a table; called until
-- nothing is left. Killed in between, the tenant is on its way out, and the next call goes on.
--   returns  unknown, enabled, busy (a run of it is being executed), more, or removed
CREATE FUNCTION remove_tenant(p_tenant text, p_max integer) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = openclaw_ha, pg_temp SET enable_seqscan = off
AS $$
DECLARE
  v_tenant tenants;
  v_table  text;
  v_count  bigint;
BEGIN
  SELECT * INTO v_tenant FROM tenants t WHERE t.tenant_id = p_tenant FOR UPDATE;
  IF NOT FOUND THEN RETURN 'unknown'; END IF;
  IF NOT v_tenant.disabled THEN RETURN 'enabled'; END IF;
  IF v_tenant.removed_at IS NULL THEN
    -- All leases at once: from here on nobody can be granted anything of it.
    PERFORM FROM (SELECT FROM session_leases l WHERE l.tenant_id = p_tenant ORDER BY l.session_key FOR UPDATE) x;
    IF EXISTS (SELECT FROM session_leases l WHERE l.tenant_id = p_tenant AND l.worker_id IS NOT NULL) THEN RETURN 'busy'; END IF;
    DELETE FROM session_leases l WHERE l.tenant_id = p_tenant;
    DELETE FROM tokens k WHERE k.tenant_id = p_tenant;
    UPDATE tenants t SET removed_at = clock_timestamp(), limits = '{}' WHERE t.tenant_id = p_tenant;
    INSERT INTO audit_log (tenant_id, action, target) VALUES (p_tenant, 'tenant.removed', p_tenant);
  END IF;
  FOREACH v_table IN ARRAY ARRAY['messages','steps','transcript_segments','seal_queue','artifacts','subagent_runs','cron_runs','cron_jobs',
    'idempotency_records','sessions','runs','agents','tenant_storage']
  LOOP
    EXECUTE format('DELETE FROM %1$I WHERE ctid = ANY (ARRAY(SELECT ctid FROM %1$I WHERE tenant_id = $1 LIMIT $2))', v_table)
    USING p_tenant, p_max;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    IF v_count = p_max THEN RETURN 'more'; END IF;
  END LOOP;
  RETURN 'removed';
END $$;

-- The secret of that name; the first who asks gives it. Read by the application through this function alone.
CREATE FUNCTION shared_secret(p_name text, p_first bytea) RETURNS bytea
LANGUAGE plpgsql SECURITY DEFINER SET search_path = openclaw_ha, pg_temp
AS $$
BEGIN
  INSERT INTO shared_secrets (name, secret) VALUES (p_name, p_first) ON CONFLICT DO NOTHING;
  RETURN (SELECT s.secret FROM shared_secrets s WHERE s.name = p_name);
END $$;

REVOKE ALL ON FUNCTION authenticate(bytea), good_tokens(bytea[]), list_tenants(), add_tenant(text, text),
  add_token(text, bytea, text[], text), replace_token(text, bytea, text[], text), list_tokens(text),
  revoke_tokens(text, bytea, text), set_tenant_disabled(text, boolean), move_tenant(text, text), disabled_tenants(),
  remove_tenant(text, integer), shared_secret(text, bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION authenticate(bytea), good_tokens(bytea[]), list_tenants(), disabled_tenants(),
  shared_secret(text, bytea) TO openclaw_ha_app;
