import type pg from "pg";
import type { CronJob } from "../../core/cron.ts";
import type { RunRecord } from "../../core/run.ts";
import { resetMessage } from "../../core/transcript.ts";
import { acceptedOrRefused } from "../../ports/accepted-run.ts";
import {
  CRON_JOBS_MAX,
  type CronStore,
  type CronWork,
  type FireAnswer,
  type Occurrence,
} from "../../ports/cron-store.ts";
import { jsonbParameter } from "./json.ts";
import { acceptAnswer, acceptItem, type AcceptRow, answersInOrder } from "./ledger-rows.ts";
import { rowsOf } from "./query.ts";
import { inTenant } from "./tenant-scope.ts";

export interface PostgresCronStoreOptions {
  readonly pool: pg.Pool;
  readonly maxQueuedPerSession?: number;
}

const NOW = "/* cron.now */ SELECT epoch_ms(clock_timestamp()) AS at";
const LIST =
  "/* cron.list */ SELECT cron_job(j) AS job FROM cron_jobs j WHERE j.tenant_id = $1 ORDER BY j.created_at, j.job_id";
const GET =
  "/* cron.get */ SELECT cron_job(j) AS job FROM cron_jobs j WHERE j.tenant_id = $1 AND j.job_id = $2";
/** Two that add the last job allowed wait for one another here. */
const LOCK = "/* cron.lock */ SELECT pg_advisory_xact_lock(hashtextextended('openclaw_ha.cron:' || $1, 0))";
// Params: $1 tenant, $2 job, $3 definition, $4 enabled, $5 next run, $6 most jobs.
const ADD = `/* cron.add */ INSERT INTO cron_jobs AS j (tenant_id, job_id, definition, enabled, next_run_at)
  SELECT $1, $2, $3, $4, ms_time($5) WHERE (SELECT count(*) FROM cron_jobs c WHERE c.tenant_id = $1) < $6
  ON CONFLICT DO NOTHING RETURNING cron_job(j) AS job`;
// Params: $1 tenant, $2 job, $3 revision, $4 definition, $5 enabled, $6 next run. A count of errors ends with the change of a
// job that they had switched off.
const REPLACE = `/* cron.replace */ UPDATE cron_jobs j SET definition = $4, revision = j.revision + 1,
    consecutive_errors = CASE WHEN $5 AND NOT j.enabled THEN 0 ELSE j.consecutive_errors END,
    enabled = $5, next_run_at = ms_time($6), updated_at = clock_timestamp()
  WHERE j.tenant_id = $1 AND j.job_id = $2 AND j.revision = $3 RETURNING cron_job(j) AS job`;
const REMOVE = "/* cron.remove */ DELETE FROM cron_jobs WHERE tenant_id = $1 AND job_id = $2";
const RUNS = `/* cron.runs */ SELECT c.job_id, epoch_ms(c.fired_at) AS fired_at, epoch_ms(c.scheduled_at) AS scheduled_at, r.record AS run
  FROM cron_runs c
  CROSS JOIN LATERAL (SELECT run_record(r) AS record FROM runs r WHERE r.tenant_id = c.tenant_id AND r.run_id = c.run_id LIMIT 1) r
  WHERE c.tenant_id = $1 AND ($2::text IS NULL OR c.job_id = $2) ORDER BY c.fired_at DESC LIMIT $3`;
const WORK = "/* cron.work */ SELECT * FROM cron_work($1, $2, $3)";
const RESIGN = "/* cron.resign */ SELECT resign_control('cron', $1)";
const FIRE = "/* cron.fire */ SELECT * FROM fire_cron_jobs($1, $2, $3, $4)";
const SETTLE = "/* cron.settle */ SELECT ord FROM settle_cron_jobs($1, $2, $3)";

interface WorkRow extends Pick<CronWork, "at" | "due" | "ended"> {
  readonly token: number;
  readonly next_due_at: number | null;
}

type FireRow = Omit<AcceptRow, "kind"> & { readonly kind: AcceptRow["kind"] | "moved" };

/** CronStore on PostgreSQL (migrate/sql/000013_cron.sql). */
export function postgresCronStore({
  pool,
  maxQueuedPerSession = 1_000,
}: PostgresCronStoreOptions): CronStore {
  const rows = rowsOf(pool);

  return {
    async now() {
      const [row] = await rows<{ at: number }>("read the clock", NOW, []);
      return row?.at ?? 0;
    },

    list: (tenant) =>
      inTenant(pool, tenant, "list cron jobs", async (query) =>
        (await query<{ job: CronJob }>(LIST, [tenant])).rows.map(({ job }) => job),
      ),

    get: (tenant, jobId) =>
      inTenant(pool, tenant, "read a cron job", async (query) => {
        const { rows: found } = await query<{ job: CronJob }>(GET, [tenant, jobId]);
        return found[0]?.job ?? null;
      }),

    add: (tenant, jobId, { definition, enabled, nextRunAt }) =>
      inTenant(pool, tenant, "add a cron job", async (query) => {
        await query(LOCK, [tenant]);
        const values = [tenant, jobId, jsonbParameter(definition), enabled, nextRunAt, CRON_JOBS_MAX];
        const { rows: added } = await query<{ job: CronJob }>(ADD, values);
        if (added[0]) return added[0].job;
        const { rowCount } = await query(GET, [tenant, jobId]);
        return rowCount === 1 ? "exists" : "full";
      }),

    replace: (tenant, jobId, revision, { definition, enabled, nextRunAt }) =>
      inTenant(pool, tenant, "change a cron job", async (query) => {
        const values = [tenant, jobId, revision, jsonbParameter(definition), enabled, nextRunAt];
        return (await query<{ job: CronJob }>(REPLACE, values)).rows[0]?.job ?? null;
      }),

    remove: (tenant, jobId) =>
      inTenant(pool, tenant, "remove a cron job", async (query) => ({
        removed: (await query(REMOVE, [tenant, jobId])).rowCount === 1,
      })),

    runs: (tenant, jobId, limit) =>
      inTenant(pool, tenant, "list runs of cron jobs", async (query) => {
        const { rows: found } = await query<{
          job_id: string;
          fired_at: number;
          scheduled_at: number | null;
          run: RunRecord;
        }>(RUNS, [tenant, jobId, limit]);
        return found.map(({ job_id, fired_at, scheduled_at, run }) => ({
          jobId: job_id,
          firedAt: fired_at,
          scheduledAt: scheduled_at,
          run,
        }));
      }),

    async work(holder, ttlMs, limit) {
      const [row] = await rows<WorkRow>("find cron jobs", WORK, [holder, ttlMs, limit]);
      if (row === undefined) return null;
      const { token, at, due, ended, next_due_at: nextDueAt } = row;
      return { term: { holder, token }, at, due, ended, nextDueAt };
    },

    async resign(holder) {
      await rows("resign", RESIGN, [holder]);
    },

    async fire(term, occurrences) {
      const items = occurrences.map((occurrence, ord) => fireItem(occurrence, ord));
      const answers = await rows<FireRow>("fire cron jobs", FIRE, [
        term?.holder ?? null,
        term?.token ?? null,
        jsonbParameter(items),
        maxQueuedPerSession,
      ]);
      return answersInOrder(occurrences, answers, fireAnswer);
    },

    async settle({ holder, token }, settlements) {
      const items = settlements.map(({ job, runId, last, ...how }, ord) => ({
        ord,
        t: job.tenant,
        j: job.jobId,
        rev: job.revision,
        r: runId,
        st: last.status,
        err: last.error,
        lastAt: last.at,
        ms: Math.round(last.durationMs),
        errors: how.consecutiveErrors,
        enabled: how.enabled,
        next: how.nextRunAt,
        remove: how.remove,
      }));
      const done = await rows<{ ord: number }>("settle cron jobs", SETTLE, [
        holder,
        token,
        jsonbParameter(items),
      ]);
      return answersInOrder(settlements, done, (_settlement, row) => row !== undefined);
    },
  };
}

const fireItem = ({ job, scheduledAt, nextRunAt, accept, reset }: Occurrence, ord: number): unknown => ({
  ord,
  t: job.tenant,
  j: job.jobId,
  rev: job.revision,
  at: scheduledAt,
  next: nextRunAt,
  reset: reset ? JSON.stringify(resetMessage("cron", Date.now())) : null,
  accept: accept === null ? null : acceptItem(accept, ord),
});

function fireAnswer({ accept }: Occurrence, row: FireRow | undefined): FireAnswer {
  if (row === undefined) return { kind: "stale" };
  if (row.kind === "moved" || accept === null) return { kind: "moved" };
  const answer = acceptedOrRefused(acceptAnswer(accept, { ...row, kind: row.kind }));
  return answer.kind === "refused" ? answer : { kind: "fired", answer };
}
