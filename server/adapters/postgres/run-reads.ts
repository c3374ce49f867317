import type { TenantId } from "../../core/ids.ts";
import type { RunRecord } from "../../core/run.ts";
import type { RunFilter } from "../../ports/run-ledger.ts";
import type { RunJson } from "./rows.ts";
import type { TenantQuery } from "./tenant-scope.ts";

// Newest first, paged by the run that the last page ended with.
// Params: $1 tenant, $2 session key or null, $3 statuses or null, $4 run that the page starts behind or null, $5 limit.
const LIST = `/* ledger.list */
  SELECT run_record(r) AS run FROM runs r
  WHERE r.tenant_id = $1
    AND ($2::text IS NULL OR r.session_key = $2)
    AND ($3::text[] IS NULL OR r.status = ANY ($3))
    AND ($4::text IS NULL OR (r.accepted_at, r.run_order, r.run_id) < (
      SELECT b.accepted_at, b.run_order, b.run_id FROM runs b WHERE b.tenant_id = $1 AND b.run_id = $4))
  ORDER BY r.accepted_at DESC, r.run_order DESC, r.run_id DESC LIMIT $5`;

/** A page of a tenant's runs, under its row-level security. */
export async function listRuns(
  query: TenantQuery,
  tenant: TenantId,
  filter: RunFilter,
): Promise<RunRecord[]> {
  const { rows } = await query<{ run: RunJson }>(LIST, [
    tenant,
    filter.sessionKey ?? null,
    filter.status ?? null,
    filter.before ?? null,
    filter.limit,
  ]);
  return rows.map(({ run }) => run);
}
