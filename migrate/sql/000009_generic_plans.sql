-- What users do to one session or run finds it by its whole key also while nobody has analysed the tables.
--   compatible: yes
--   lock: none that matters (settings of functions)
--
-- A plan made for one value counts on what the statistics say of it, and of a tenant that they do not know they say
-- "hardly a row": then an index that begins with the tenant looks as good as the primary key, and all its sessions or
-- runs are read. A generic plan counts on the average tenant. The hot functions do this since 000003; the pool does
-- it for single statements (adapters/postgres/pool.ts).
ALTER FUNCTION abort_runs(text, text, text) SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION redrive_run(text, text) SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION redrive_run(text, text) SET enable_hashjoin = off;
ALTER FUNCTION redrive_run(text, text) SET enable_mergejoin = off;
ALTER FUNCTION release_runs(jsonb) SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION retire_worker(text) SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION reset_session(text, text, text, text) SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION delete_session(text, text) SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION create_session(text, text, text, text, text, text) SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION append_message(text, text, text, text, text, text, bigint, text, text) SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION seal_rows(text, text, bigint, bigint, text, bigint, integer) SET plan_cache_mode = force_generic_plan;
