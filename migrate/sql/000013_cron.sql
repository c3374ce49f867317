-- Cron jobs: what is to run when, fired once by whoever leads, and what became of it.
--   compatible: first revision
--   lock: none that matters (new functions)
--
-- An occurrence is decided and accepted by one statement (fire_cron_jobs): the job's row is locked, found due by this
-- clock, the run accepted by accept_runs and the next time written, or none of it. The run's id is made of the job and
-- the time, so that not even a repeated request could run it twice.
--
-- Lock order: control lease, rows of cron_jobs in order of their key, then what accept_runs locks. Nobody who holds a
-- lease row waits for a job.

CREATE FUNCTION ms_time(p_ms double precision) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$
  SELECT to_timestamp(p_ms / 1000)
$$;

-- One job as the processes know it (core/cron.ts, CronJob). Times are epoch milliseconds.
CREATE FUNCTION cron_job(j cron_jobs) RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT jsonb_build_object(
    'tenant', j.tenant_id, 'jobId', j.job_id, 'definition', j.definition, 'enabled', j.enabled, 'revision', j.revision,
    'createdAt', epoch_ms(j.created_at), 'updatedAt', epoch_ms(j.updated_at), 'nextRunAt', epoch_ms(j.next_run_at),
    'running', CASE WHEN j.running_run_id IS NOT NULL THEN jsonb_build_object(
      'runId', j.running_run_id, 'since', epoch_ms(j.running_since), 'manual', j.running_manual) END,
    'last', CASE WHEN j.last_status IS NOT NULL THEN jsonb_build_object(
      'at', epoch_ms(j.last_run_at), 'status', j.last_status, 'error', j.last_error, 'durationMs', j.last_duration_ms) END,
    'consecutiveErrors', j.consecutive_errors)
$$;

-- What there is to do for whoever leads, and leads: takes or renews the control lease `cron`.
--   returns  no row while another one leads; else its token, this clock, jobs that are due (the longest overdue first),
--            jobs whose run has ended, with the run, and when the next one will be due
CREATE FUNCTION cron_work(p_holder text, p_ttl_ms integer, p_limit integer)
RETURNS TABLE (token bigint, at double precision, due jsonb, ended jsonb, next_due_at double precision)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = openclaw_ha, pg_temp SET enable_seqscan = off SET jit = off
AS $$
DECLARE
  v_token bigint;
  v_now   timestamptz;
BEGIN
  SELECT l.token INTO v_token FROM lead_control('cron', p_holder, p_ttl_ms) l;
  IF v_token IS NULL THEN RETURN; END IF;
  v_now := clock_timestamp();
  RETURN QUERY SELECT v_token, epoch_ms(v_now),
    coalesce((SELECT jsonb_agg(x.job ORDER BY x.next_run_at) FROM (
      SELECT cron_job(j) AS job, j.next_run_at FROM cron_jobs j
      WHERE j.next_run_at <= v_now AND j.running_run_id IS NULL ORDER BY j.next_run_at LIMIT p_limit) x), '[]'),
    coalesce((SELECT jsonb_agg(x.pair) FROM (
      SELECT jsonb_build_object('job', cron_job(j), 'run', r.record) AS pair FROM cron_jobs j
      CROSS JOIN LATERAL (
        SELECT run_record(r) AS record FROM runs r
        WHERE r.tenant_id = j.tenant_id AND r.run_id = j.running_run_id AND r.ended_at IS NOT NULL LIMIT 1) r
      WHERE j.running_run_id IS NOT NULL ORDER BY j.running_since LIMIT p_limit) x), '[]'),
    (SELECT epoch_ms(j.next_run_at) FROM cron_jobs j
     WHERE j.next_run_at > v_now AND j.running_run_id IS NULL ORDER BY j.next_run_at LIMIT 1);
END $$;

-- Fires occurrences: accepts their runs and moves the jobs on.
--   p_holder, p_token  of the control lease; NULL for a run by hand
--   p_batch       array of {ord, t: tenant, j: job, rev: revision, at: time that was found due | null for a run by hand,
--                 next: its next time | null (by hand: stays), reset: transcript row before the run | null,
--                 accept: item of accept_runs | null to move on without a run}
--   p_max_queued  as for accept_runs
--   returns       a row per job that was still as the caller has seen it; kind `moved`, or as accept_runs has it. Where
--                 that is neither new nor existing the job stays as it is.
CREATE FUNCTION fire_cron_jobs(p_holder text, p_token bigint, p_batch jsonb, p_max_queued integer)
RETURNS TABLE (ord integer, kind text, session_id text, pool text, became_ready boolean, accepted_at double precision, run jsonb)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = openclaw_ha, pg_temp SET enable_seqscan = off SET jit = off
AS $$
#variable_conflict use_column
DECLARE
  v_now   timestamptz := clock_timestamp();
  v_items jsonb := '[]';
  v_fired integer[] := '{}';
  v_new   integer[] := '{}';
  v_row   record;
BEGIN
  IF p_holder IS NOT NULL THEN
    PERFORM FROM control_leases WHERE name = 'cron' AND holder = p_holder AND token = p_token AND expires_at > clock_timestamp() FOR SHARE;
    IF NOT FOUND THEN RETURN; END IF;
  END IF;
  FOR v_row IN
    SELECT b.item FROM jsonb_array_elements(p_batch) AS b(item)
    JOIN cron_jobs j ON j.tenant_id = b.item ->> 't' AND j.job_id = b.item ->> 'j'
    WHERE j.revision = (b.item ->> 'rev')::bigint AND j.running_run_id IS NULL
      AND (b.item ->> 'at' IS NULL
        OR (j.next_run_at <= clock_timestamp() AND epoch_ms(j.next_run_at) = (b.item ->> 'at')::double precision))
    ORDER BY j.tenant_id, j.job_id FOR UPDATE OF j
  LOOP
    IF jsonb_typeof(v_row.item -> 'accept') = 'object' THEN
      v_items := v_items || (v_row.item -> 'accept');
    ELSE
      UPDATE cron_jobs j SET next_run_at = ms_time((v_row.item ->> 'next')::double precision)
      WHERE j.tenant_id = v_row.item ->> 't' AND j.job_id = v_row.item ->> 'j';
      ord := (v_row.item ->> 'ord')::integer; kind := 'moved';
      RETURN NEXT;
    END IF;
  END LOOP;
  IF v_items = '[]' THEN RETURN; END IF;
  FOR v_row IN SELECT * FROM accept_runs(v_items, p_max_queued) LOOP
    IF v_row.kind IN ('new', 'existing') THEN v_fired := v_fired || v_row.ord; END IF;
    IF v_row.kind = 'new' THEN v_new := v_new || v_row.ord; END IF;
    ord := v_row.ord; kind := v_row.kind; session_id := v_row.session_id; pool := v_row.pool;
    became_ready := v_row.became_ready; accepted_at := v_row.accepted_at; run := v_row.run;
    RETURN NEXT;
  END LOOP;
  -- After accept_runs, which has locked the sessions in their order: so no two calls wait in a circle.
  PERFORM reset_session(l.tenant_id, l.session_key, (b.accept ->> 'k') || ':reset', b.reset)
  FROM jsonb_to_recordset(p_batch) AS b(ord integer, t text, reset text, accept jsonb)
  JOIN session_leases l ON l.tenant_id = b.t AND l.session_key = b.accept ->> 's'
  WHERE b.ord = ANY (v_new) AND b.reset IS NOT NULL AND l.head_seq > l.reset_seq;
  WITH fired AS MATERIALIZED (
    SELECT b.t, b.j, b.at, b.next, b.accept ->> 'k' AS run_id
    FROM jsonb_to_recordset(p_batch) AS b(ord integer, t text, j text, at double precision, next double precision, accept jsonb)
    WHERE b.ord = ANY (v_fired)
  ), noted AS (
    INSERT INTO cron_runs (tenant_id, job_id, run_id, fired_at, scheduled_at)
    SELECT f.t, f.j, f.run_id, v_now, ms_time(f.at) FROM fired f ON CONFLICT DO NOTHING
  )
  UPDATE cron_jobs j SET running_run_id = f.run_id, running_since = v_now, running_manual = f.at IS NULL,
    next_run_at = CASE WHEN f.at IS NULL THEN j.next_run_at ELSE ms_time(f.next) END
  FROM fired f WHERE j.tenant_id = f.t AND j.job_id = f.j;
END $$;

-- Takes note of ends: what the run came to, and when the job runs next.
--   p_batch  array of {ord, t, j, rev, r: run, st: status, err, lastAt, ms, errors, enabled, next, remove: boolean}
--   returns  ord of each job that was still as the caller has seen it
CREATE FUNCTION settle_cron_jobs(p_holder text, p_token bigint, p_batch jsonb) RETURNS TABLE (ord integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = openclaw_ha, pg_temp SET enable_seqscan = off SET jit = off
AS $$
#variable_conflict use_column
DECLARE
  v_row record;
BEGIN
  PERFORM FROM control_leases WHERE name = 'cron' AND holder = p_holder AND token = p_token AND expires_at > clock_timestamp() FOR SHARE;
  IF NOT FOUND THEN RETURN; END IF;
  FOR v_row IN
    SELECT b.* FROM jsonb_to_recordset(p_batch) AS b(ord integer, t text, j text, rev bigint, r text, st text, err text,
      "lastAt" double precision, ms bigint, errors integer, enabled boolean, next double precision, remove boolean)
    JOIN cron_jobs c ON c.tenant_id = b.t AND c.job_id = b.j
    WHERE c.revision = b.rev AND c.running_run_id = b.r
    ORDER BY c.tenant_id, c.job_id FOR UPDATE OF c
  LOOP
    IF v_row.remove THEN
      DELETE FROM cron_jobs c WHERE c.tenant_id = v_row.t AND c.job_id = v_row.j;
    ELSE
      UPDATE cron_jobs c SET running_run_id = NULL, running_since = NULL, running_manual = false,
        last_run_at = ms_time(v_row."lastAt"), last_status = v_row.st, last_error = v_row.err, last_duration_ms = v_row.ms,
        consecutive_errors = v_row.errors, enabled = v_row.enabled, next_run_at = ms_time(v_row.next)
      WHERE c.tenant_id = v_row.t AND c.job_id = v_row.j;
    END IF;
    ord := v_row.ord;
    RETURN NEXT;
  END LOOP;
END $$;

REVOKE ALL ON FUNCTION cron_work(text, integer, integer), fire_cron_jobs(text, bigint, jsonb, integer),
  settle_cron_jobs(text, bigint, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION cron_work(text, integer, integer), fire_cron_jobs(text, bigint, jsonb, integer),
  settle_cron_jobs(text, bigint, jsonb) TO openclaw_ha_app;
