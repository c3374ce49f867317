-- Secrets that all gateways share, so that what one of them has signed for a short time is known to the others:
-- tickets of attachments, which a browser puts into the address of a picture.
--   compatible: yes
--   lock: none that matters (a new table)
CREATE TABLE shared_secrets (
  name       text PRIMARY KEY,
  secret     bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The secret of that name; the first who asks gives it. Read by the application through this function alone.
CREATE FUNCTION shared_secret(p_name text, p_first bytea) RETURNS bytea
LANGUAGE plpgsql SECURITY DEFINER SET search_path = openclaw_ha, pg_temp
AS $$
BEGIN
  INSERT INTO shared_secrets (name, secret) VALUES (p_name, p_first) ON CONFLICT DO NOTHING;
  RETURN (SELECT s.secret FROM shared_secrets s WHERE s.name = p_name);
END $$;

REVOKE ALL ON FUNCTION shared_secret(text, bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shared_secret(text, bytea) TO openclaw_ha_app;
