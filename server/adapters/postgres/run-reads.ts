import type { RunId, SessionKey, TenantId } from "../../core/ids.ts";
import { isEnded } from "../../core/run-state.ts";
import type { EndedStatus, RunRecord, RunStatus } from "../../core/run.ts";
import type { TranscriptMessage } from "../../core/transcript.ts";
import type { QueuedInput, RecordedStep, RunFilter } from "../../ports/run-ledger.ts";
import { type RunJson, storedBody } from "./rows.ts";
import type { TenantQuery } from "./tenant-scope.ts";

/** How the newest runs come first; the last two tell apart what was accepted in one statement. */
const NEWEST_FIRST = "ORDER BY r.accepted_at DESC, r.run_order DESC, r.run_id DESC";

/** Statuses that have an index of their own (runs_unsuccessful): all ends but the usual one. */
const UNSUCCESSFUL: readonly EndedStatus[] = ["failed", "timed_out", "aborted", "dead"];

/**
 * The conditions under which an index finds the runs asked for, one for each index: open runs, those of a session, each
 * way to end badly. Where the answer is in several places, each gives a page and the newest of them are the answer.
 * What is left (every run, or those that succeeded) are most of a tenant's, and are read from the newest back.
 */
function placesOf({ sessionKey, status }: RunFilter, param: (value: unknown) => string): string[] {
  const open = status?.filter((one) => !isEnded(one));
  const ended = status?.filter((one): one is EndedStatus => isEnded(one));
  const among = (place: string, statuses: readonly RunStatus[] | undefined): string[] => {
    if (statuses === undefined) return [place];
    return statuses.length === 0 ? [] : [`${place} AND r.status = ANY (${param(statuses)}::text[])`];
  };
  if (sessionKey !== undefined) {
    return [...among("r.ended_at IS NULL", open), ...among("r.ended_at IS NOT NULL", ended)];
  }
  if (ended === undefined || ended.includes("succeeded")) return among("true", status);
  return [
    ...among("r.ended_at IS NULL", open),
    ...UNSUCCESSFUL.filter((one) => ended.includes(one)).map((one) => `r.unsuccessful = ${param(one)}`),
  ];
}

/** The statement names only the conditions that there are, so that its plan can use their indexes. */
function listStatement(filter: RunFilter, tenant: TenantId) {
  const { sessionKey, agentId, errorKind, since, before, limit } = filter;
  const values: unknown[] = [tenant];
  const param = (value: unknown): string => `$${values.push(value)}`;
  const conditions = ["r.tenant_id = $1"];
  if (sessionKey !== undefined) conditions.push(`r.session_key = ${param(sessionKey)}`);
  if (agentId !== undefined) conditions.push(`r.agent_id = ${param(agentId)}`);
  if (since !== undefined) conditions.push(`r.accepted_at >= to_timestamp(${param(since)}::float8 / 1000)`);
  if (errorKind !== undefined) conditions.push(`r.error ->> 'kind' = ${param(errorKind)}`);
  if (before !== undefined) {
    conditions.push(`(r.accepted_at, r.run_order, r.run_id) < (
      SELECT b.accepted_at, b.run_order, b.run_id FROM runs b WHERE b.tenant_id = $1 AND b.run_id = ${param(before)})`);
  }
  const page = `${NEWEST_FIRST} LIMIT ${param(limit)}`;
  const places = placesOf(withStatus(filter), param).map(
    (place) => `(SELECT run_record(r) AS run, r.accepted_at, r.run_order, r.run_id FROM runs r
      WHERE ${[...conditions, place].join(" AND ")} ${page})`,
  );
  const text = `/* ledger.list */ SELECT r.run FROM (${places.join(" UNION ALL ")}) r ${page}`;
  return { text, values };
}

/** Only what went wrong has an error. */
const withStatus = (filter: RunFilter): RunFilter =>
  filter.errorKind === undefined || filter.status !== undefined
    ? filter
    : { ...filter, status: UNSUCCESSFUL };

/** A page of a tenant's runs, newest first and paged by the run that the last page ended with, under its row-level security. */
export async function listRuns(
  query: TenantQuery,
  tenant: TenantId,
  filter: RunFilter,
): Promise<RunRecord[]> {
  if (filter.status?.length === 0) return [];
  const { text, values } = listStatement(filter, tenant);
  const { rows } = await query<{ run: RunJson }>(text, values);
  return rows.map(({ run }) => run);
}

// Params: $1 tenant, $2 session key, $3 limit.
const QUEUED = `/* ledger.queued */
  SELECT r.run_id, epoch_ms(r.accepted_at) AS accepted_at, r.input_body, r.input_sha256, r.input_bytes, count(*) OVER () AS total
  FROM runs r WHERE r.tenant_id = $1 AND r.session_key = $2 AND r.ended_at IS NULL AND r.status = 'queued'
  ORDER BY r.run_order LIMIT $3`;

interface QueuedRow {
  readonly run_id: RunId;
  readonly accepted_at: number;
  readonly input_body: TranscriptMessage | null;
  readonly input_sha256: string | null;
  readonly input_bytes: number | null;
  readonly total: number;
}

/** What waits in a session, the oldest first. */
export async function queuedInputs(
  query: TenantQuery,
  tenant: TenantId,
  key: SessionKey,
  limit: number,
): Promise<{ items: QueuedInput[]; total: number }> {
  const { rows } = await query<QueuedRow>(QUEUED, [tenant, key, limit]);
  const items = rows.map((row) => ({
    runId: row.run_id,
    acceptedAt: row.accepted_at,
    body: storedBody(row.input_body, row.input_sha256, row.input_bytes),
  }));
  return { items, total: rows[0]?.total ?? 0 };
}

const STEPS = `/* ledger.steps */
  SELECT step_no, kind, tool_call_id, tool_name, idempotent, is_error, floor(extract(epoch FROM created_at) * 1000)::float8 AS at
  FROM steps WHERE tenant_id = $1 AND run_id = $2 AND kind <> 'model' ORDER BY step_no`;

interface StepRow {
  readonly step_no: number;
  readonly kind: RecordedStep["kind"];
  readonly tool_call_id: string;
  readonly tool_name: string | null;
  readonly idempotent: boolean | null;
  readonly is_error: boolean | null;
  readonly at: number;
}

/** The recorded steps of a run, under its tenant's row-level security. */
export async function readSteps(query: TenantQuery, tenant: TenantId, run: RunId): Promise<RecordedStep[]> {
  const { rows } = await query<StepRow>(STEPS, [tenant, run]);
  return rows.map((row) => {
    const common = { stepNo: row.step_no, toolCallId: row.tool_call_id, at: row.at };
    return row.kind === "tool_started"
      ? { ...common, kind: row.kind, toolName: row.tool_name ?? "", idempotent: row.idempotent === true }
      : { ...common, kind: row.kind, isError: row.is_error === true };
  });
}
