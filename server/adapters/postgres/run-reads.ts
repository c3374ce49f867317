import type { RunId, SessionKey, TenantId } from "../../core/ids.ts";
import { isEnded } from "../../core/run-state.ts";
import type { RunRecord } from "../../core/run.ts";
import type { TranscriptMessage } from "../../core/transcript.ts";
import type { QueuedInput, RunFilter } from "../../ports/run-ledger.ts";
import { type RunJson, storedBody } from "./rows.ts";
import type { TenantQuery } from "./tenant-scope.ts";

/**
 * The statement names only the conditions that there are, so that its plan can use their indexes: the open runs of a
 * session are found by key. Other filters read the tenant's runs from the newest back until the page is full.
 */
function listStatement({ sessionKey, status, before, limit }: RunFilter, tenant: TenantId) {
  const values: unknown[] = [tenant];
  const param = (value: unknown): string => `$${values.push(value)}`;
  const conditions = ["r.tenant_id = $1"];
  if (sessionKey !== undefined) conditions.push(`r.session_key = ${param(sessionKey)}`);
  if (status !== undefined) {
    conditions.push(`r.status = ANY (${param(status)}::text[])`);
    if (status.every((one) => !isEnded(one))) conditions.push("r.ended_at IS NULL");
  }
  if (before !== undefined) {
    conditions.push(`(r.accepted_at, r.run_order, r.run_id) < (
      SELECT b.accepted_at, b.run_order, b.run_id FROM runs b WHERE b.tenant_id = $1 AND b.run_id = ${param(before)})`);
  }
  const text = `/* ledger.list */
    SELECT run_record(r) AS run FROM runs r WHERE ${conditions.join(" AND ")}
    ORDER BY r.accepted_at DESC, r.run_order DESC, r.run_id DESC LIMIT ${param(limit)}`;
  return { text, values };
}

/** A page of a tenant's runs, newest first and paged by the run that the last page ended with, under its row-level security. */
export async function listRuns(
  query: TenantQuery,
  tenant: TenantId,
  filter: RunFilter,
): Promise<RunRecord[]> {
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
