-- Shuts a tenant out and lets it in again.
--   compatible: yes; a gateway of the previous release refuses a disabled tenant's logins and runs, and leaves its open sockets
--   lock: none that matters (new functions)

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

REVOKE ALL ON FUNCTION set_tenant_disabled(text, boolean), disabled_tenants() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION disabled_tenants() TO openclaw_ha_app;
