-- The tables of the pool. Postgres is the record of tenants, sessions, runs and leases; everything else can be rebuilt.
--   compatible: first revision
--   lock: none that matters (an empty schema)
--
-- Keys are COLLATE "C": one order for the database and for the processes, and cheaper comparisons.
-- There are no foreign keys on the tables of the hot path: their rows are written by the functions of
-- 000003 to 000006 only, and a check per row would cost more than the commit it protects.

CREATE TABLE tenants (
  tenant_id  text COLLATE "C" PRIMARY KEY,
  pool       text NOT NULL DEFAULT 'shared',
  disabled   boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp()
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
  PRIMARY KEY (tenant_id, session_key)
);
-- Without the key: an index that held it could stand in for the primary key, and would while the planner knows too little.
CREATE INDEX sessions_recent ON sessions (tenant_id, updated_at DESC);

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
CREATE INDEX session_leases_held ON session_leases (worker_id) WHERE worker_id IS NOT NULL;

CREATE TABLE runs (
  tenant_id       text COLLATE "C" NOT NULL,
  run_id          text COLLATE "C" NOT NULL,
  session_key     text COLLATE "C" NOT NULL,
  session_id      text NOT NULL,
  agent_id        text NOT NULL,
  lane            text NOT NULL,
  run_order       bigint NOT NULL,
  status          text NOT NULL DEFAULT 'queued',
  attempt         integer NOT NULL DEFAULT 0,
  failures        integer NOT NULL DEFAULT 0,
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
  title           text,
  options         jsonb NOT NULL DEFAULT '{}',
  result          jsonb,
  error           jsonb,
  PRIMARY KEY (tenant_id, run_id),
  CONSTRAINT status_known CHECK (status IN ('queued','running','succeeded','failed','timed_out','aborted','dead')),
  CONSTRAINT ended_means_terminal CHECK ((ended_at IS NULL) = (status IN ('queued','running')))
) WITH (fillfactor = 45);
COMMENT ON COLUMN runs.run_order IS 'order of acknowledgement within the session';
COMMENT ON COLUMN runs.failures IS 'attempts lost in a row without a new checkpoint';
COMMENT ON COLUMN runs.title IS 'beginning of the user''s text; becomes the title of a session that has none';
COMMENT ON COLUMN runs.user_seq IS 'where the user row stands in the transcript; NULL until the first claim';
CREATE INDEX runs_open ON runs (tenant_id, session_key, run_order) WHERE ended_at IS NULL;
CREATE INDEX runs_recent ON runs (tenant_id, accepted_at DESC);

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

CREATE TABLE audit_log (
  id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant_id text COLLATE "C" NOT NULL,
  at        timestamptz NOT NULL DEFAULT clock_timestamp(),
  action    text NOT NULL,
  target    text NOT NULL,
  details   jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX audit_log_recent ON audit_log (tenant_id, at DESC);
