-- Tenants, their tokens, and the secrets that all gateways share: what one of them has signed for a short time is known to
-- the others (tickets of attachments, which a browser puts into the address of a picture).
--   compatible: first revision
--   lock: none that matters (new functions)

-- Whom a token belongs to. No row: unknown, revoked, expired, or its tenant is disabled.
CREATE FUNCTION authenticate(p_hash bytea) RETURNS TABLE (tenant_id text, scopes text[], pool text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = openclaw_ha, pg_temp
AS $$
  SELECT k.tenant_id, k.scopes, t.pool FROM tokens k JOIN tenants t USING (tenant_id)
  WHERE k.token_hash = p_hash AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > clock_timestamp()) AND NOT t.disabled
$$;

CREATE FUNCTION list_tenants() RETURNS TABLE (tenant_id text, pool text, disabled boolean, created_at double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = openclaw_ha, pg_temp
AS $$
  SELECT t.tenant_id, t.pool, t.disabled, floor(extract(epoch FROM t.created_at) * 1000)::double precision FROM tenants t ORDER BY 1
$$;

-- Operators only: not granted to the application.
CREATE FUNCTION add_tenant(p_tenant text, p_pool text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = openclaw_ha, pg_temp
AS $$
  WITH added AS (INSERT INTO tenants (tenant_id, pool) VALUES (p_tenant, p_pool) ON CONFLICT DO NOTHING RETURNING tenant_id)
  INSERT INTO audit_log (tenant_id, action, target) SELECT tenant_id, 'tenant.added', tenant_id FROM added
$$;

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

-- Operators only: not granted to the application. Returns whether there is such a tenant; saying the same again changes nothing.
CREATE FUNCTION set_tenant_disabled(p_tenant text, p_disabled boolean) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = openclaw_ha, pg_temp
AS $$
BEGIN
  UPDATE tenants SET disabled = p_disabled WHERE tenant_id = p_tenant AND disabled <> p_disabled;
  IF FOUND THEN
    INSERT INTO audit_log (tenant_id, action, target)
    VALUES (p_tenant, CASE WHEN p_disabled THEN 'tenant.disabled' ELSE 'tenant.enabled' END, p_tenant);
    RETURN true;
  END IF;
  RETURN EXISTS (SELECT FROM tenants WHERE tenant_id = p_tenant);
END $$;

-- Whom gateways send away; few, however many tenants there are.
CREATE FUNCTION disabled_tenants() RETURNS TABLE (tenant_id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = openclaw_ha, pg_temp
AS $$
  SELECT t.tenant_id FROM tenants t WHERE t.disabled ORDER BY 1
$$;

-- The secret of that name; the first who asks gives it. Read by the application through this function alone.
CREATE FUNCTION shared_secret(p_name text, p_first bytea) RETURNS bytea
LANGUAGE plpgsql SECURITY DEFINER SET search_path = openclaw_ha, pg_temp
AS $$
BEGIN
  INSERT INTO shared_secrets (name, secret) VALUES (p_name, p_first) ON CONFLICT DO NOTHING;
  RETURN (SELECT s.secret FROM shared_secrets s WHERE s.name = p_name);
END $$;

REVOKE ALL ON FUNCTION authenticate(bytea), list_tenants(), add_tenant(text, text),
  add_token(text, bytea, text[], text), replace_token(text, bytea, text[], text), set_tenant_disabled(text, boolean),
  disabled_tenants(), shared_secret(text, bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION authenticate(bytea), list_tenants(), disabled_tenants(), shared_secret(text, bytea)
  TO openclaw_ha_app;
