-- A message with attachments has a plain text since they are objects of their own, and still is a turn of its own: put
-- behind others it would lose them.
--   compatible: yes
--   lock: none that matters (a function)
CREATE OR REPLACE FUNCTION collectable_text(p_body json) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN p_body::text ~* '\\u(0000|d[89a-f])' OR p_body -> '__openclaw' -> 'media' IS NOT NULL THEN NULL
              WHEN json_typeof(p_body -> 'content') = 'string' THEN p_body ->> 'content' END
$$;
