import type { TenantId } from "../../core/ids.ts";
import { isEnded } from "../../core/run-state.ts";
import type { RunRecord } from "../../core/run.ts";
import type { RunFilter } from "../../ports/run-ledger.ts";
import type { RunJson } from "./rows.ts";
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
