import { excerptsOf, previewOf } from "../../core/excerpt.ts";
import type { RunId, SessionKey, TenantId, WorkerId } from "../../core/ids.ts";
import type { Lane } from "../../core/lane.ts";
import type { RunRecord } from "../../core/run.ts";
import { isLimitReason, type LimitReason } from "../../core/tenant-limits.ts";
import type { StoredBody, TranscriptMessage } from "../../core/transcript.ts";
import type {
  AbortAnswer,
  AcceptAnswer,
  AcceptRequest,
  CheckpointAnswer,
  CheckpointRequest,
  ClaimAnswer,
  FinishAnswer,
  FinishRequest,
  GrantRef,
  SteeredRun,
  SweepReport,
  WorkerView,
} from "../../ports/run-ledger.ts";
import type { ReadySession } from "../../ports/run-queue.ts";
import {
  appendedRows,
  bodyColumns,
  type GrantRow,
  grantOf,
  messageItems,
  type RunJson,
  stepItems,
  storedBody,
} from "./rows.ts";

/**
 * What the ledger's functions take and answer (migrate/sql/000003 to 000009), one pair for each: a request as an item
 * of the batch, a row as the port's answer.
 */

export const keyOf = (tenant: string, sessionKey: string): string => `${tenant}\n${sessionKey}`;

/** Puts rows that carry the place of their request back into the order of the requests. */
export function answersInOrder<Request, Row extends { ord: number }, Answer>(
  batch: readonly Request[],
  rows: readonly Row[],
  answer: (request: Request, row: Row | undefined) => Answer,
): Answer[] {
  const byPlace = new Map(rows.map((row) => [row.ord, row]));
  return batch.map((request, place) => answer(request, byPlace.get(place)));
}

export interface ClaimRow extends GrantRow {
  readonly busy: boolean;
  readonly tenant: string;
  readonly session: string;
}

export function claimAnswer(row: ClaimRow | undefined): ClaimAnswer {
  if (row === undefined) return { kind: "empty" };
  return row.busy ? { kind: "busy" } : { kind: "granted", grant: grantOf(row) };
}

export interface AcceptRow {
  readonly ord: number;
  readonly kind: "new" | "existing" | "conflict" | "session-queue-full" | "tenant-disabled" | LimitReason;
  readonly session_id: string;
  readonly pool: string;
  readonly became_ready: boolean;
  readonly accepted_at: number;
  readonly run: RunJson | null;
  readonly interrupted: { readonly runId: RunId; readonly worker: WorkerId } | null;
}

export function acceptItem(request: AcceptRequest, ord: number): unknown {
  const { body, sha, bytes } = bodyColumns(request.input.body);
  const { queueMode } = request;
  return {
    ord,
    t: request.tenant,
    k: request.runId,
    s: request.sessionKey,
    a: request.agentId,
    l: request.lane,
    h: request.requestHash,
    sid: request.newSessionId,
    ib: body,
    is: sha,
    in: bytes,
    ti: titleOf(request.input.body),
    o: request.input.options,
    qm: typeof queueMode === "string" ? queueMode : null,
    qd: typeof queueMode === "object" ? queueMode.orElse : null,
  };
}

/** Text in an object is not read for a title. */
const titleOf = (body: StoredBody): string | null =>
  "inline" in body ? excerptsOf(body.inline).title : null;

export function acceptAnswer(request: AcceptRequest, row: AcceptRow | undefined): AcceptAnswer {
  if (row === undefined || row.kind === "tenant-disabled")
    return { kind: "refused", reason: "tenant-disabled" };
  if (row.kind === "session-queue-full" || isLimitReason(row.kind))
    return { kind: "refused", reason: row.kind };
  if (row.kind === "conflict") return { kind: "conflict" };
  if (row.kind === "existing") return { kind: "existing", run: row.run as RunRecord };
  const { tenant, runId, sessionKey, agentId, lane } = request;
  const run: RunRecord = {
    tenant,
    runId,
    sessionKey,
    sessionId: row.session_id,
    agentId,
    lane,
    status: "queued",
    attempt: 0,
    failures: 0,
    worker: null,
    acceptedAt: row.accepted_at,
    startedAt: null,
    endedAt: null,
    abortRequested: false,
    result: null,
    error: null,
  };
  const ready = row.became_ready ? { tenant, sessionKey, lane, pool: row.pool } : null;
  return { kind: "new", run, ready, interrupted: row.interrupted };
}

export const guardItem = ({ tenant, sessionKey, runId, token }: GrantRef) => ({
  t: tenant,
  s: sessionKey,
  r: runId,
  tok: token,
});

export interface CheckpointRow {
  readonly ord: number;
  readonly first_seq: number | null;
  readonly parent_id: string | null;
  readonly head_seq: number;
  readonly created_at: number;
  readonly abort_requested: boolean;
  readonly steered: readonly SteeredJson[] | null;
}

/** What `steered_run()` builds (000006_checkpoint_finish.sql). */
interface SteeredJson {
  readonly runId: RunId;
  readonly seq: number;
  readonly parentId: string | null;
  readonly createdAt: number;
  readonly body: string | null;
  readonly sha: string | null;
  readonly bytes: number | null;
}

function steeredRun(into: RunId, run: SteeredJson): SteeredRun {
  const { runId, seq, parentId, createdAt, body, sha, bytes } = run;
  const key = `${runId}:user`;
  const inline = body === null ? null : (JSON.parse(body) as TranscriptMessage);
  return {
    runId,
    row: {
      seq,
      messageId: key,
      parentId,
      runId: into,
      idempotencyKey: key,
      body: storedBody(inline, sha, bytes),
      createdAt,
    },
  };
}

export function checkpointAnswer(
  request: CheckpointRequest,
  row: CheckpointRow | undefined,
): CheckpointAnswer {
  if (!row) return { kind: "fenced" };
  return {
    kind: "stored",
    rows: appendedRows(request.messages, request.grant.runId, row.first_seq, row.parent_id, row.created_at),
    headSeq: row.head_seq,
    abortRequested: row.abort_requested,
    steered: (row.steered ?? []).map((run) => steeredRun(request.grant.runId, run)),
  };
}

/** The columns of `next` are null where nothing was taken next. */
export interface FinishRow extends GrantRow {
  readonly ord: number;
  readonly first_seq: number | null;
  readonly parent_id: string | null;
  readonly finished_head_seq: number;
  readonly created_at: number;
  readonly ready: boolean;
  readonly ready_pool: string;
  readonly ready_lane: string;
}

export function finishItem(request: FinishRequest, ord: number): unknown {
  const usage = request.result?.usage;
  return {
    ...guardItem(request.grant),
    ord,
    st: request.status,
    res: request.result,
    err: request.error,
    steps: stepItems(request.steps),
    msgs: messageItems(request.messages),
    next: request.takeNext,
    prev: previewOf(request.result?.text ?? ""),
    tin: usage?.input ?? 0,
    tout: usage?.output ?? 0,
  };
}

export function finishAnswer(request: FinishRequest, row: FinishRow | undefined): FinishAnswer {
  if (!row) return { kind: "fenced" };
  const { tenant, sessionKey, runId } = request.grant;
  return {
    kind: "finished",
    rows: appendedRows(request.messages, runId, row.first_seq, row.parent_id, row.created_at),
    headSeq: row.finished_head_seq,
    next: (row.run_id as string | null) === null ? null : grantOf(row),
    ready: row.ready ? { tenant, sessionKey, pool: row.ready_pool, lane: row.ready_lane as Lane } : null,
  };
}

export interface ReadyRow {
  readonly tenant_id: string;
  readonly session_key: string;
  readonly pool: string;
  readonly lane: string;
}

export const readySession = (row: ReadyRow): ReadySession => ({
  tenant: row.tenant_id as TenantId,
  sessionKey: row.session_key as SessionKey,
  pool: row.pool,
  lane: row.lane as Lane,
});

export interface SweepRow extends ReadyRow {
  readonly kind: "worker" | "session" | "buried";
  readonly worker_id: string;
  readonly pools: string[];
  readonly token: number;
  readonly run: RunJson;
}

export function sweepReport(rows: readonly SweepRow[]): SweepReport {
  return {
    deadWorkers: rows
      .filter((row) => row.kind === "worker")
      .map((row) => ({ worker: row.worker_id as WorkerId, pools: row.pools })),
    readied: rows.filter((row) => row.kind === "session").map(readySession),
    buried: rows.filter((row) => row.kind === "buried").map(({ run, token }) => ({ run, token })),
  };
}

export interface AbortRow {
  readonly kind: "aborted" | "requested" | "ended";
  readonly run: RunJson;
  readonly token: number;
  readonly worker_id: string;
}

export function abortAnswer(row: AbortRow): AbortAnswer {
  switch (row.kind) {
    case "aborted":
      return { kind: "aborted", run: row.run, token: row.token };
    case "requested":
      return { kind: "requested", run: row.run, worker: row.worker_id as WorkerId };
    case "ended":
      return { kind: "ended", run: row.run };
    default:
      return row.kind satisfies never;
  }
}

export interface WorkerRow {
  readonly worker_id: string;
  readonly instance: string;
  readonly pools: string[];
  readonly slots: number;
  readonly running: number;
  readonly started_at: number;
  readonly heartbeat_at: number;
}

export const workerView = (row: WorkerRow): WorkerView => ({
  worker: row.worker_id as WorkerId,
  instance: row.instance,
  pools: row.pools,
  slots: row.slots,
  running: row.running,
  startedAt: row.started_at,
  heartbeatAt: row.heartbeat_at,
});
