-- Row-level security, forced on every table of a tenant.
--   compatible: first revision
--   lock: none that matters (an empty schema)
--
-- openclaw_ha_owner owns everything and nobody logs in as it; its policy admits it, so that the functions that serve
-- many tenants in one statement (SECURITY DEFINER, granted one by one) can. openclaw_ha_app is what the processes
-- are: whatever it reads or writes by itself passes the policy of the tenant set for its transaction.
DO $$
DECLARE
  v_table text;
BEGIN
  FOREACH v_table IN ARRAY ARRAY['tenants','tokens','agents','sessions','session_leases','runs','idempotency_records',
    'steps','messages','transcript_segments','seal_queue','artifacts','cron_jobs','cron_runs','subagent_runs','audit_log']
  LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', v_table);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', v_table);
    EXECUTE format('CREATE POLICY every_tenant ON %I TO openclaw_ha_owner USING (true) WITH CHECK (true)', v_table);
    EXECUTE format(
      'CREATE POLICY own_tenant ON %I TO openclaw_ha_app USING (tenant_id = current_setting(''openclaw_ha.tenant'', true))'
      || ' WITH CHECK (tenant_id = current_setting(''openclaw_ha.tenant'', true))', v_table);
  END LOOP;
END $$;

-- Read by the functions alone.
ALTER TABLE tenant_storage ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenant_storage FORCE ROW LEVEL SECURITY;
CREATE POLICY every_tenant ON tenant_storage TO openclaw_ha_owner USING (true) WITH CHECK (true);

GRANT USAGE ON SCHEMA openclaw_ha TO openclaw_ha_app;
GRANT SELECT ON tenants, sessions, session_leases, runs, steps, messages, transcript_segments, artifacts, agents TO openclaw_ha_app;
GRANT INSERT, UPDATE, DELETE ON sessions TO openclaw_ha_app;
GRANT INSERT, UPDATE ON session_leases TO openclaw_ha_app;
GRANT INSERT, UPDATE, DELETE ON messages TO openclaw_ha_app;
GRANT INSERT, DELETE ON transcript_segments, seal_queue TO openclaw_ha_app;
GRANT SELECT ON seal_queue TO openclaw_ha_app;
GRANT UPDATE ON runs TO openclaw_ha_app;
GRANT INSERT ON artifacts, audit_log TO openclaw_ha_app;
GRANT INSERT, UPDATE ON agents TO openclaw_ha_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON cron_jobs TO openclaw_ha_app;
GRANT SELECT ON cron_runs, subagent_runs TO openclaw_ha_app;
