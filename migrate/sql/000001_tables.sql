-- The tables of the pool. Postgres is the record of tenants, sessions, runs and leases; everything else can be rebuilt.
--   compatible: first revision
--   lock: none that matters (an empty schema)
--
-- Keys are COLLATE "C": one order for the database and for the processes, and cheaper comparisons.
-- There are no foreign keys on the tables of the hot path: their rows are written by the functions of the files that
-- follow only, and a check per row would cost more than the commit it protects.

CREATE TABLE tenants (
  tenant_id  text COLLATE "C" PRIMARY KEY,
  pool       text NOT NULL DEFAULT 'shared',
  disabled   boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  removed_at timestamptz,
  limits     jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(limits) = 'object'),
  effective_limits jsonb NOT NULL DEFAULT '{}',
  limited    boolean NOT NULL
    GENERATED ALWAYS AS (effective_limits ?| ARRAY['concurrentRuns','queuedRuns','sessions','storageBytes']) STORED
);
COMMENT ON COLUMN tenants.removed_at IS 'set with the removal; nothing but this row is left then, or it is on its way out';
COMMENT ON COLUMN tenants.limits IS 'what was said of this tenant (core/tenant-limits.ts); a null is no limit, an absent name the default';
COMMENT ON COLUMN tenants.effective_limits IS 'defaults and limits together, without nulls; kept by a trigger';
COMMENT ON COLUMN tenants.limited IS 'true where accepting has something to count';

CREATE TABLE default_limits (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  limits   jsonb NOT NULL CHECK (jsonb_typeof(limits) = 'object')
);

-- What tenants keep, as it was measured last: only of those that have a limit of storage.
CREATE TABLE tenant_storage (
  tenant_id   text COLLATE "C" PRIMARY KEY,
  bytes       bigint NOT NULL,
  measured_at timestamptz NOT NULL
);

CREATE TABLE tokens (
  token_hash bytea PRIMARY KEY,
  tenant_id  text COLLATE "C" NOT NULL REFERENCES tenants,
  scopes     text[] NOT NULL,
  label      text NOT NULL DEFAULT '',
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at timestamptz,
  revoked_at timestamptz
);
COMMENT ON COLUMN tokens.token_hash IS 'SHA-256 of a random token; the token itself is stored nowhere';

-- Agents of one tenant beside those that openclaw.json gives to all.
CREATE TABLE agents (
  tenant_id  text COLLATE "C" NOT NULL,
  agent_id   text COLLATE "C" NOT NULL,
  spec       jsonb NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, agent_id)
);

-- What lists and people see of a session: written once per run, when the run ends.
CREATE TABLE sessions (
  tenant_id          text COLLATE "C" NOT NULL,
  session_key        text COLLATE "C" NOT NULL,
  session_id         text NOT NULL,
  agent_id           text NOT NULL,
  created_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
  created_via        text NOT NULL DEFAULT 'send',
  lifecycle_revision integer NOT NULL DEFAULT 1,
  label              text,
  model              text,
  thinking_level     text,
  verbose_level      text,
  queue_mode         text,
  archived           boolean NOT NULL DEFAULT false,
  pinned             boolean NOT NULL DEFAULT false,
  input_tokens       bigint NOT NULL DEFAULT 0,
  output_tokens      bigint NOT NULL DEFAULT 0,
  last_preview       text,
  derived_title      text,
  last_run_id        text,
  read_seq           bigint NOT NULL DEFAULT 0,
  marked_unread_at   timestamptz,
  spawned_by         text COLLATE "C",
  spawn_depth        integer,
  PRIMARY KEY (tenant_id, session_key)
);
COMMENT ON COLUMN sessions.read_seq IS 'rows above it are unread. A position, not a time: no clock says whether a row came before or after its reader';
COMMENT ON COLUMN sessions.spawned_by IS 'key of the session whose run spawned this one; NULL for all but subagents';
-- Without the key: an index that held it could stand in for the primary key, and would while the planner knows too little.
CREATE INDEX sessions_recent ON sessions (tenant_id, updated_at DESC);
CREATE INDEX sessions_ids ON sessions (tenant_id, session_id);
-- Those that are archived, pinned or labelled are few: what is not in a partial index costs a run nothing.
CREATE INDEX sessions_archived ON sessions (tenant_id, updated_at DESC) WHERE archived;
CREATE INDEX sessions_pinned ON sessions (tenant_id, updated_at DESC) WHERE pinned;
CREATE INDEX sessions_labels ON sessions (tenant_id, label) WHERE label IS NOT NULL;

-- The one row by which a session is locked, granted and numbered. Narrow, because every step of a run touches it.
CREATE TABLE session_leases (
  tenant_id       text COLLATE "C" NOT NULL,
  session_key     text COLLATE "C" NOT NULL,
  session_id      text,
  pool            text NOT NULL,
  lane            text NOT NULL,
  fencing_token   bigint NOT NULL DEFAULT 0,
  worker_id       text COLLATE "C",
  run_id          text COLLATE "C",
  queued          integer NOT NULL DEFAULT 0,
  ready_since     timestamptz,
  next_order      bigint NOT NULL DEFAULT 0,
  head_seq        bigint NOT NULL DEFAULT 0,
  head_message_id text,
  base_seq        bigint NOT NULL DEFAULT 0,
  reset_seq       bigint NOT NULL DEFAULT 0,
  sealed_seq      bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant_id, session_key),
  CONSTRAINT ready_means_free_and_queued CHECK ((ready_since IS NOT NULL) = (worker_id IS NULL AND queued > 0))
) WITH (fillfactor = 70);
COMMENT ON COLUMN session_leases.session_id IS 'NULL after the session was deleted: the row stays, so that tokens never go back';
COMMENT ON COLUMN session_leases.fencing_token IS 'token of the newest grant; never decreases';
COMMENT ON COLUMN session_leases.worker_id IS 'holder; the lease is live while that worker is';
COMMENT ON COLUMN session_leases.ready_since IS 'set exactly while runs are queued and nobody holds the session';
COMMENT ON COLUMN session_leases.base_seq IS 'last seq of the sessions that had this key before and were deleted';
COMMENT ON COLUMN session_leases.sealed_seq IS 'transcript rows at or below it lie in segments';
CREATE INDEX session_leases_ready ON session_leases (ready_since, tenant_id, session_key) WHERE ready_since IS NOT NULL;
CREATE INDEX session_leases_ready_lanes ON session_leases (pool, tenant_id, lane, ready_since) WHERE ready_since IS NOT NULL;
CREATE INDEX session_leases_held ON session_leases (worker_id) WHERE worker_id IS NOT NULL;

CREATE TABLE runs (
  tenant_id       text COLLATE "C" NOT NULL,
  run_id          text COLLATE "C" NOT NULL,
  session_key     text COLLATE "C" NOT NULL,
  session_id      text NOT NULL,
  agent_id        text NOT NULL,
  lane            text NOT NULL,
  run_order       bigint NOT NULL,
  queue_mode      text NOT NULL DEFAULT 'followup',
  status          text NOT NULL DEFAULT 'queued',
  attempt         integer NOT NULL DEFAULT 0,
  failures        integer NOT NULL DEFAULT 0,
  losses          integer NOT NULL DEFAULT 0,
  fencing_token   bigint NOT NULL DEFAULT 0,
  worker_id       text COLLATE "C",
  checkpoint_no   integer NOT NULL DEFAULT 0,
  steps_done      integer NOT NULL DEFAULT 0,
  user_seq        bigint,
  abort_requested boolean NOT NULL DEFAULT false,
  accepted_at     timestamptz NOT NULL,
  started_at      timestamptz,
  ended_at        timestamptz,
  input_body      json,
  input_sha256    text,
  input_bytes     bigint,
  collected       text[],
  title           text,
  options         jsonb NOT NULL DEFAULT '{}',
  result          jsonb,
  error           jsonb,
  unsuccessful    text GENERATED ALWAYS AS (CASE WHEN ended_at IS NOT NULL AND status <> 'succeeded' THEN status END) STORED,
  PRIMARY KEY (tenant_id, run_id),
  CONSTRAINT status_known CHECK (status IN ('queued','running','succeeded','failed','timed_out','aborted','dead')),
  CONSTRAINT ended_means_terminal CHECK ((ended_at IS NULL) = (status IN ('queued','running')))
) WITH (fillfactor = 45);
COMMENT ON COLUMN runs.run_order IS 'order of acknowledgement within the session';
COMMENT ON COLUMN runs.queue_mode IS 'steer, followup, collect or interrupt; followup for a run that found its session idle';
COMMENT ON COLUMN runs.failures IS 'attempts lost in a row without a new checkpoint';
COMMENT ON COLUMN runs.losses IS 'attempts lost in all since the run was accepted or redriven; progress does not reset it';
COMMENT ON COLUMN runs.checkpoint_no IS 'newest checkpoint of the grant; of a steered run the one of the other run that took it in';
COMMENT ON COLUMN runs.title IS 'beginning of the user''s text; becomes the title of a session that has none';
COMMENT ON COLUMN runs.user_seq IS 'where the user row stands in the transcript; NULL until the first claim';
COMMENT ON COLUMN runs.unsuccessful IS 'status of a run that has ended otherwise than well; NULL for all others';
COMMENT ON COLUMN runs.collected IS 'runs whose texts are part of this one''s input since its first grant';
CREATE INDEX runs_open ON runs (tenant_id, session_key, run_order) WHERE ended_at IS NULL;
-- Beside runs_open, which has those that have not ended: each run is in one of the two.
CREATE INDEX runs_of_session ON runs (tenant_id, session_key, accepted_at DESC) WHERE ended_at IS NOT NULL;
CREATE INDEX runs_recent ON runs (tenant_id, accepted_at DESC);
-- An index on `status` would make a new index entry of every claim, as every change of an indexed column does. This column
-- is NULL until the run has ended, and stays so where it succeeded: an ordinary run has no entry.
CREATE INDEX runs_unsuccessful ON runs (tenant_id, unsuccessful, accepted_at DESC) WHERE unsuccessful IS NOT NULL;
CREATE INDEX runs_failed_lately ON runs (ended_at DESC) WHERE unsuccessful IN ('failed', 'timed_out', 'dead');

CREATE TABLE idempotency_records (
  tenant_id       text COLLATE "C" NOT NULL,
  idempotency_key text COLLATE "C" NOT NULL,
  session_key     text COLLATE "C" NOT NULL,
  request_hash    bytea NOT NULL,
  created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, idempotency_key)
);
COMMENT ON TABLE idempotency_records IS 'one per accepted key, kept for 30 days or more, also when its session is deleted; the key is the run id';
CREATE INDEX idempotency_records_age ON idempotency_records USING brin (created_at);

CREATE TABLE steps (
  tenant_id     text COLLATE "C" NOT NULL,
  run_id        text COLLATE "C" NOT NULL,
  step_no       integer NOT NULL,
  kind          text NOT NULL CHECK (kind IN ('model','tool_started','tool_result')),
  tool_call_id  text,
  tool_name     text,
  idempotent    boolean,
  is_error      boolean,
  fencing_token bigint NOT NULL,
  created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, run_id, step_no)
);

CREATE TABLE messages (
  tenant_id       text COLLATE "C" NOT NULL,
  session_key     text COLLATE "C" NOT NULL,
  seq             bigint NOT NULL,
  message_id      text NOT NULL,
  parent_id       text,
  run_id          text,
  idempotency_key text,
  body            json,
  object_sha256   text,
  object_bytes    bigint,
  created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, session_key, seq)
);
COMMENT ON COLUMN messages.body IS 'the message while it belongs to the hot tail; NULL once it lies in an object of its own or in a segment';
-- Rows of runs are not in it: nothing looks for them by id alone, and the hot path has no index more to write.
CREATE UNIQUE INDEX messages_outside_runs ON messages (tenant_id, session_key, message_id) WHERE run_id IS NULL;
-- The list of bodies that are too large for their row (INLINE_BODY_MAX_BYTES of core/transcript.ts), because object storage
-- was away when they were written. A row leaves it with its body, whoever moves, seals or deletes it. Measured: what each
-- written row pays for the condition is lost in the noise of writing it.
CREATE INDEX messages_large_inline ON messages (tenant_id, session_key, seq) WHERE octet_length(body::text) > 32768;
-- Finds the newest compaction of a session without reading its transcript: a row of any other kind costs one comparison of
-- its id, and no entry.
CREATE INDEX messages_compactions ON messages (tenant_id, session_key, seq DESC) WHERE message_id LIKE 'compaction:%';

CREATE TABLE transcript_segments (
  tenant_id   text COLLATE "C" NOT NULL,
  session_key text COLLATE "C" NOT NULL,
  first_seq   bigint NOT NULL,
  last_seq    bigint NOT NULL,
  sha256      text NOT NULL,
  bytes       bigint NOT NULL,
  created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, session_key, first_seq),
  CHECK (first_seq <= last_seq)
);

-- Sessions whose hot tail has grown enough to be worth moving; a row is added by whoever lets it grow.
CREATE TABLE seal_queue (
  tenant_id   text COLLATE "C" NOT NULL,
  session_key text COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant_id, session_key)
);

-- Every object that rows of a tenant refer to.
CREATE TABLE artifacts (
  tenant_id  text COLLATE "C" NOT NULL,
  sha256     text NOT NULL,
  bytes      bigint NOT NULL,
  kind       text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, sha256)
);

CREATE TABLE workers (
  worker_id       text COLLATE "C" PRIMARY KEY,
  instance        text NOT NULL,
  pools           text[] NOT NULL,
  slots           integer NOT NULL,
  state           text NOT NULL DEFAULT 'live' CHECK (state IN ('live','dead','retired')),
  lock_key        bigint NOT NULL,
  lock_held       boolean NOT NULL DEFAULT false,
  lock_free_since timestamptz,
  started_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  heartbeat_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  ended_at        timestamptz,
  reported        boolean NOT NULL DEFAULT false
);
COMMENT ON COLUMN workers.reported IS 'a sweep has told of this death, so that what the worker had taken from the queue is put back';
COMMENT ON COLUMN workers.lock_free_since IS 'since when the sweep has found the session advisory lock free; a sign of death, not yet a proof';

CREATE TABLE cron_jobs (
  tenant_id          text COLLATE "C" NOT NULL,
  job_id             text COLLATE "C" NOT NULL,
  definition         jsonb NOT NULL,
  enabled            boolean NOT NULL,
  revision           bigint NOT NULL DEFAULT 1,
  created_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
  next_run_at        timestamptz,
  running_run_id     text COLLATE "C",
  running_since      timestamptz,
  running_manual     boolean NOT NULL DEFAULT false,
  last_run_at        timestamptz,
  last_status        text CHECK (last_status IN ('ok', 'error', 'skipped')),
  last_error         text,
  last_duration_ms   bigint,
  consecutive_errors integer NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant_id, job_id),
  CONSTRAINT disabled_jobs_are_never_due CHECK (enabled OR next_run_at IS NULL)
) WITH (fillfactor = 70);
COMMENT ON COLUMN cron_jobs.revision IS 'grows with every change by a user; what was decided on an older one is void';
COMMENT ON COLUMN cron_jobs.running_run_id IS 'run of the last occurrence, until its end has been taken note of; a job never runs twice at once';
CREATE INDEX cron_jobs_due ON cron_jobs (next_run_at) WHERE next_run_at IS NOT NULL AND running_run_id IS NULL;
CREATE INDEX cron_jobs_running ON cron_jobs (running_since) WHERE running_run_id IS NOT NULL;

-- Which run belongs to which occurrence; its state is in `runs`. Stays when the job is removed.
CREATE TABLE cron_runs (
  tenant_id    text COLLATE "C" NOT NULL,
  job_id       text COLLATE "C" NOT NULL,
  run_id       text COLLATE "C" NOT NULL,
  fired_at     timestamptz NOT NULL,
  scheduled_at timestamptz,
  PRIMARY KEY (tenant_id, job_id, run_id)
);
COMMENT ON COLUMN cron_runs.scheduled_at IS 'NULL: run by hand';
CREATE INDEX cron_runs_recent ON cron_runs (tenant_id, job_id, fired_at DESC);

CREATE TABLE subagent_runs (
  tenant_id        text COLLATE "C" NOT NULL,
  run_id           text COLLATE "C" NOT NULL,
  session_key      text COLLATE "C" NOT NULL,
  requester_run_id text COLLATE "C" NOT NULL,
  requester_key    text COLLATE "C" NOT NULL,
  task             text NOT NULL,
  label            text,
  cleanup          text NOT NULL CHECK (cleanup IN ('keep', 'delete')),
  created_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
  announced_at     timestamptz,
  announcement     text,
  stop             text CHECK (stop IN ('wanted', 'done')),
  PRIMARY KEY (tenant_id, run_id)
);
COMMENT ON COLUMN subagent_runs.announcement IS 'run of the parent''s session that tells of the end; NULL with announced_at set: there was nobody left to tell';
COMMENT ON COLUMN subagent_runs.stop IS 'wanted: its session is to be aborted; done: it has been. Nobody is told of its end in either case';
CREATE INDEX subagent_runs_open ON subagent_runs (tenant_id, requester_key) WHERE announced_at IS NULL;
CREATE INDEX subagent_runs_children ON subagent_runs (tenant_id, requester_key, created_at DESC);
CREATE INDEX subagent_runs_recent ON subagent_runs (tenant_id, created_at DESC);

-- Who may decide. The token grows with every change of the holder and never falls.
CREATE TABLE control_leases (
  name       text PRIMARY KEY,
  holder     text NOT NULL,
  token      bigint NOT NULL,
  expires_at timestamptz NOT NULL
);

CREATE TABLE pool_sizes (
  pool    text PRIMARY KEY,
  desired integer NOT NULL CHECK (desired >= 0),
  policy  jsonb NOT NULL,
  token   bigint NOT NULL DEFAULT 0
);
COMMENT ON COLUMN pool_sizes.desired IS 'instances that the pool is to have; whoever runs instances makes it so';
COMMENT ON COLUMN pool_sizes.token IS 'control lease under which the size was decided last; operators need none';

CREATE TABLE scaling_decisions (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  pool       text NOT NULL,
  from_size  integer NOT NULL,
  to_size    integer NOT NULL,
  reason     text NOT NULL,
  decided_by text NOT NULL,
  decided_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX scaling_decisions_recent ON scaling_decisions (pool, id DESC);

-- Written by every instance every two seconds and worth nothing after a crash: not in the write-ahead log.
CREATE UNLOGGED TABLE instance_loads (
  instance    text PRIMARY KEY,
  pool        text NOT NULL,
  load        jsonb NOT NULL,
  reported_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 50);

CREATE TABLE shared_secrets (
  name       text PRIMARY KEY,
  secret     bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE audit_log (
  id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant_id text COLLATE "C" NOT NULL,
  at        timestamptz NOT NULL DEFAULT clock_timestamp(),
  action    text NOT NULL,
  target    text NOT NULL,
  details   jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX audit_log_recent ON audit_log (tenant_id, at DESC);
