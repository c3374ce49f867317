-- Tokens and tenants come to an end: tokens are listed and revoked one by one, tenants are removed with their rows.
--   compatible: yes (a column without a default; a removed tenant is a disabled one to the previous release)
--   lock: tenants, exclusively, for a moment
--
-- The row of a removed tenant stays, without a token, so that its name is not given out again: event histories and objects
-- under that name may outlive it, and fencing tokens of its sessions must not start anew below theirs.

ALTER TABLE tenants ADD COLUMN removed_at timestamptz;
COMMENT ON COLUMN tenants.removed_at IS 'set with the removal; nothing but this row is left then, or it is on its way out';

-- Operators: adds a tenant; one of this id is left as it is. Raises HA004 for the id of one that was removed.
CREATE OR REPLACE FUNCTION add_tenant(p_tenant text, p_pool text) RETURNS void
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

CREATE OR REPLACE FUNCTION list_tenants()
RETURNS TABLE (tenant_id text, pool text, disabled boolean, created_at double precision, limits jsonb, effective_limits jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = openclaw_ha, pg_temp
AS $$
  SELECT t.tenant_id, t.pool, t.disabled, epoch_ms(t.created_at), t.limits, t.effective_limits
  FROM tenants t WHERE t.removed_at IS NULL ORDER BY 1
$$;

CREATE OR REPLACE FUNCTION set_tenant_disabled(p_tenant text, p_disabled boolean) RETURNS boolean
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

REVOKE ALL ON FUNCTION list_tokens(text), revoke_tokens(text, bytea, text), tenant_usage(text), remove_tenant(text, integer) FROM PUBLIC;
