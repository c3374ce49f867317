import { createHash } from "node:crypto";
import type pg from "pg";
import type { SessionKey, TenantId, WorkerId } from "../../core/ids.ts";
import type { Lane } from "../../core/lane.ts";
import { LEASE_TTL_MS } from "../../core/lease.ts";
import { MAX_FAILURES } from "../../core/run.ts";
import { resetMessageId } from "../../core/transcript.ts";
import type { LaneDemand } from "../../core/scaling.ts";
import type {
  GrantRef,
  HeartbeatAnswer,
  ReadyCursor,
  RunLedger,
  RunningRun,
} from "../../ports/run-ledger.ts";
import { jsonbParameter } from "./json.ts";
import { rowsOf } from "./query.ts";
import { type GrantRow, grantOf, messageItems, type RunJson, stepItems } from "./rows.ts";
import {
  abortAnswer,
  type AbortRow,
  acceptAnswer,
  acceptItem,
  type AcceptRow,
  answersInOrder,
  checkpointAnswer,
  type CheckpointRow,
  claimAnswer,
  type ClaimRow,
  finishAnswer,
  finishItem,
  type FinishRow,
  guardItem,
  keyOf,
  readySession,
  type ReadyRow,
  sweepReport,
  type SweepRow,
  workerView,
  type WorkerRow,
} from "./ledger-rows.ts";
import { answeredRun, answerItem, type AnswerRow } from "./ledger-answer.ts";
import { listRuns, queuedInputs, readSteps } from "./run-reads.ts";
import { SEAL_THRESHOLD_ROWS } from "./seal.ts";
import { inTenant } from "./tenant-scope.ts";

/** How long a worker's advisory lock must have been found free before it counts as dead (000007_workers.sql). */
export const LOCK_FREE_MS = 400;

export interface PostgresRunLedgerOptions {
  readonly pool: pg.Pool;
  readonly maxQueuedPerSession?: number;
  readonly leaseTtlMs?: number;
  readonly lockFreeMs?: number;
}

// One call each: the functions decide and write in one transaction (migrate/sql/000003 to 000009).
const ACCEPT = "/* ledger.accept */ SELECT * FROM accept_runs($1, $2)";
// OFFSET 0 keeps the check a step of its own, before the answer makes the session that it asks about.
const ANSWER = `/* ledger.answer */
  SELECT a.* FROM (SELECT check_new_session($3, $4) OFFSET 0) c CROSS JOIN LATERAL answer_run($1, $2) a`;
const CLAIM =
  "/* ledger.claim */ SELECT c.busy, c.tenant, c.session, (c.granted).* FROM claim_sessions($1, $2, $3, $4) c";
const CLAIM_READY = "/* ledger.claim_ready */ SELECT * FROM claim_ready($1, $2, $3, $4)";
const CHECKPOINT = "/* ledger.checkpoint */ SELECT * FROM checkpoint_runs($1)";
const FINISH = `/* ledger.finish */
  SELECT f.ord, f.first_seq, f.parent_id, f.head_seq AS finished_head_seq, f.created_at, f.ready, f.ready_pool, f.ready_lane, (f.next).*
  FROM finish_runs($1, $2) f`;
const RELEASE = "/* ledger.release */ SELECT * FROM release_runs($1)";
const REGISTER = "/* ledger.register */ SELECT register_worker($1, $2, $3, $4, $5, $6)";
const HEARTBEAT = "/* ledger.heartbeat */ SELECT * FROM heartbeat($1, $2)";
const RETIRE = "/* ledger.retire */ SELECT * FROM retire_worker($1)";
const SWEEP = "/* ledger.sweep */ SELECT * FROM sweep($1, $2, $3)";
const READY =
  "/* ledger.ready */ SELECT *, ready_since::text AS since FROM ready_sessions($1, $2, $3, $4, $5)";
const WORKERS = "/* ledger.workers */ SELECT * FROM live_workers()";
const ABORT = "/* ledger.abort */ SELECT * FROM abort_runs($1, $2, $3, $4)";
const ABORT_BEFORE_RESET = "/* ledger.abort_before_reset */ SELECT * FROM abort_before_reset($1, $2, $3, $4)";
const REDRIVE = "/* ledger.redrive */ SELECT * FROM redrive_run($1, $2)";
const BY_ID = "/* ledger.by_id */ SELECT * FROM runs_by_id($1)";
const BACKLOG = "/* ledger.backlog */ SELECT * FROM backlog()";
const RUNNING = "/* ledger.running */ SELECT run, steps, step FROM running_runs($1)";
const LANES = "/* ledger.lanes */ SELECT * FROM lane_backlog($1)";
const FAILURES = "/* ledger.failures */ SELECT run FROM failed_runs($1)";

/** The key of a worker's session advisory lock: the first 8 bytes of SHA-256 of its id, as PostgreSQL's bigint. */
export const workerLockKey = (worker: WorkerId): string =>
  createHash("sha256").update(`openclaw_ha.worker:${worker}`).digest().readBigInt64BE(0).toString();

/** RunLedger on PostgreSQL 14 or newer, migrated (migrate/schema.ts). The pool's connections must be the application's role. */
export function postgresRunLedger(options: PostgresRunLedgerOptions): RunLedger {
  const { pool } = options;
  const ttlMs = options.leaseTtlMs ?? LEASE_TTL_MS;
  const lockFreeMs = options.lockFreeMs ?? LOCK_FREE_MS;
  const maxQueued = options.maxQueuedPerSession ?? 1_000;

  const rows = rowsOf(pool);

  return {
    async accept(batch) {
      const items = batch.map((request, ord) => acceptItem(request, ord));
      const answers = await rows<AcceptRow>("accept runs", ACCEPT, [jsonbParameter(items), maxQueued]);
      return answersInOrder(batch, answers, acceptAnswer);
    },

    async answer(request) {
      const item = jsonbParameter(answerItem(request));
      const { tenant, sessionKey } = request;
      const values = [item, SEAL_THRESHOLD_ROWS, tenant, sessionKey];
      const [row] = await rows<AnswerRow>("record an answered run", ANSWER, values);
      return answeredRun(request, row);
    },

    async claim(worker, sessions) {
      const items = sessions.map(({ tenant, sessionKey }) => ({ t: tenant, s: sessionKey }));
      const answers = await rows<ClaimRow>("claim sessions", CLAIM, [
        worker,
        jsonbParameter(items),
        ttlMs,
        MAX_FAILURES,
      ]);
      const byKey = new Map(answers.map((row) => [keyOf(row.tenant, row.session), row]));
      return sessions.map(({ tenant, sessionKey }) => claimAnswer(byKey.get(keyOf(tenant, sessionKey))));
    },

    async claimReady(worker, pools, max, widths) {
      const found = await rows<GrantRow>("claim ready sessions", CLAIM_READY, [
        worker,
        pools,
        max,
        JSON.stringify(widths),
      ]);
      return found.map(grantOf);
    },

    async checkpoint(batch) {
      const items = batch.map((request, ord) => ({
        ...guardItem(request.grant),
        ord,
        no: request.checkpointNo,
        steps: stepItems(request.steps),
        msgs: messageItems(request.messages),
        steer: request.steer ?? false,
      }));
      const stored = await rows<CheckpointRow>("checkpoint runs", CHECKPOINT, [jsonbParameter(items)]);
      return answersInOrder(batch, stored, checkpointAnswer);
    },

    async finish(batch) {
      const items = batch.map((request, ord) => finishItem(request, ord));
      const finished = await rows<FinishRow>("finish runs", FINISH, [
        jsonbParameter(items),
        SEAL_THRESHOLD_ROWS,
      ]);
      return answersInOrder(batch, finished, finishAnswer);
    },

    async release(grants) {
      const ready = await rows<ReadyRow>("release runs", RELEASE, [jsonbParameter(grants.map(guardItem))]);
      return ready.map(readySession);
    },

    async registerWorker({ worker, instance, pools, slots }, lock) {
      await rows("register the worker", REGISTER, [
        worker,
        instance,
        pools,
        slots,
        workerLockKey(worker),
        lock === "held",
      ]);
    },

    async heartbeat(worker, lock): Promise<HeartbeatAnswer> {
      const [beat] = await rows<{ aborts: GrantRef[] | null }>("renew the leases", HEARTBEAT, [
        worker,
        lock === "held",
      ]);
      return beat ? { kind: "alive", aborts: beat.aborts ?? [] } : { kind: "dead" };
    },

    async retireWorker(worker) {
      return (await rows<ReadyRow>("retire the worker", RETIRE, [worker])).map(readySession);
    },

    async sweep() {
      return sweepReport(await rows<SweepRow>("sweep", SWEEP, [ttlMs, lockFreeMs, MAX_FAILURES]));
    },

    async readySessions(olderThanMs, limit, after) {
      const page = await rows<ReadyRow & { since: string }>("list ready sessions", READY, [
        olderThanMs,
        limit,
        after?.readySince ?? null,
        after?.tenant ?? null,
        after?.sessionKey ?? null,
      ]);
      const last = page.at(-1);
      const next: ReadyCursor | null =
        last && page.length === limit
          ? {
              readySince: last.since,
              tenant: last.tenant_id as TenantId,
              sessionKey: last.session_key as SessionKey,
            }
          : null;
      return { sessions: page.map(readySession), next };
    },

    async workers() {
      return (await rows<WorkerRow>("list workers", WORKERS, [])).map(workerView);
    },

    async abort(tenant, target) {
      const { runId, sessionKey, stopSubagents = false } = target;
      if (target.runId === undefined && target.beforeReset !== undefined) {
        const values = [tenant, sessionKey, resetMessageId(target.beforeReset), stopSubagents];
        return (await rows<AbortRow>("abort runs before a reset", ABORT_BEFORE_RESET, values)).map(
          abortAnswer,
        );
      }
      const found = await rows<AbortRow>("abort runs", ABORT, [
        tenant,
        runId ?? null,
        sessionKey ?? null,
        stopSubagents,
      ]);
      if (found.length === 0 && runId !== undefined) return [{ kind: "unknown" }];
      return found.map(abortAnswer);
    },

    async redrive(tenant, run) {
      const [row] = await rows<{ run: RunJson; ready: boolean; pool: string; lane: Lane }>(
        "redrive a run",
        REDRIVE,
        [tenant, run],
      );
      if (!row) return null;
      const ready = { tenant, sessionKey: row.run.sessionKey, pool: row.pool, lane: row.lane };
      return { run: row.run, ready: row.ready ? ready : null };
    },

    async get(tenant, run) {
      const [row] = await rows<{ run: RunJson }>("read a run", BY_ID, [
        jsonbParameter([{ t: tenant, r: run }]),
      ]);
      return row?.run ?? null;
    },

    async getMany(runs) {
      const items = runs.map(({ tenant, runId }) => ({ t: tenant, r: runId }));
      return (await rows<{ run: RunJson }>("read runs", BY_ID, [jsonbParameter(items)])).map(
        ({ run }) => run,
      );
    },

    list: (tenant, filter) => inTenant(pool, tenant, "list runs", (query) => listRuns(query, tenant, filter)),

    queued: (tenant, key, limit) =>
      inTenant(pool, tenant, "list what waits", (query) => queuedInputs(query, tenant, key, limit)),

    steps: (tenant, run) => inTenant(pool, tenant, "read steps", (query) => readSteps(query, tenant, run)),

    running: (limit) => rows<RunningRun & { run: RunJson }>("list running runs", RUNNING, [limit]),

    failures: async (limit) =>
      (await rows<{ run: RunJson }>("list failed runs", FAILURES, [limit])).map(({ run }) => run),

    async lanes(limit) {
      const lanes = await rows<LaneDemand & { pool: string; oldest_ready_ms: number | null }>(
        "read the lanes",
        LANES,
        [limit],
      );
      return lanes.map(({ oldest_ready_ms: oldestReadyMs, ...lane }) => ({ ...lane, oldestReadyMs }));
    },

    async backlog() {
      const [row] = await rows<{ ready: number; running: number; oldest_ready_ms: number }>(
        "read the backlog",
        BACKLOG,
        [],
      );
      return { ready: row?.ready ?? 0, running: row?.running ?? 0, oldestReadyMs: row?.oldest_ready_ms ?? 0 };
    },

    async close() {}, // the pool belongs to whoever opened it
  };
}
