import type { TenantId } from "../../core/ids.ts";
import type { SessionRecord } from "../../core/session.ts";
import { type SessionQuery, SESSIONS_COUNTED } from "../../ports/session-store.ts";
import { SESSION_COLUMNS, type SessionRow, sessionRecord } from "./session-rows.ts";
import type { TenantQuery } from "./tenant-scope.ts";

export interface Statement {
  readonly text: string;
  readonly values: unknown[];
}

const CENTURY_MS = 100 * 365 * 86_400_000;

/**
 * Where a list looks, and what it keeps of that. A statement compares only what it is asked for: so the planner sees
 * which partial index it may use (archived, pinned, labelled sessions are few, and those with open runs or of one
 * requester are fewer). $1 is the tenant, the other values follow in the order of their use.
 */
function selection(tenant: TenantId, query: SessionQuery): Statement {
  const values: unknown[] = [tenant];
  const value = (given: unknown): string => `$${values.push(given)}`;
  const { agentId, agentIds, sessionId, activeWithinMs, search, archived, pinned, label, spawnedBy } = query;
  let from = "sessions s";
  if (spawnedBy !== undefined) {
    from += ` JOIN subagent_runs c ON c.tenant_id = s.tenant_id AND c.session_key = s.session_key AND c.requester_key = ${value(spawnedBy)}`;
  }
  if (query.activeOnly === true) {
    from += ` JOIN (SELECT DISTINCT r.session_key FROM runs r WHERE r.tenant_id = $1 AND r.ended_at IS NULL) a USING (session_key)`;
  }
  const conditions = ["s.tenant_id = $1"];
  if (agentId !== undefined) conditions.push(`s.agent_id = ${value(agentId)}`);
  if (agentIds !== undefined) conditions.push(`s.agent_id = ANY (${value(agentIds)}::text[])`);
  // What is longer than a timestamp reaches back is of all time.
  if (activeWithinMs !== undefined && activeWithinMs <= CENTURY_MS) {
    conditions.push(
      `s.updated_at >= clock_timestamp() - make_interval(secs => ${value(activeWithinMs)}::float8 / 1000)`,
    );
  }
  if (archived !== undefined) conditions.push(archived ? "s.archived" : "NOT s.archived");
  if (pinned !== undefined) conditions.push(pinned ? "s.pinned" : "NOT s.pinned");
  if (sessionId !== undefined) conditions.push(`s.session_id = ${value(sessionId)}`);
  if (label !== undefined) conditions.push(`s.label = ${value(label)}`);
  if (query.excludeSubagents === true) conditions.push("split_part(s.session_key, ':', 3) <> 'subagent'");
  if (query.excludeCron === true) conditions.push("split_part(s.session_key, ':', 3) <> 'cron'");
  if (search !== undefined) {
    conditions.push(
      `strpos(lower(concat_ws(' ', s.session_key, s.label, s.derived_title)), lower(${value(search)})) > 0`,
    );
  }
  return { text: `FROM ${from} WHERE ${conditions.join(" AND ")}`, values };
}

const whole = (count: number): number => {
  if (!Number.isSafeInteger(count) || count < 0) throw new RangeError(`not a number of rows: ${count}`);
  return count;
};

/**
 * The sessions of a page and one more, which tells whether there is another page. The rows are chosen first, and only
 * those are put together: what an offset skips costs no join. Limit and offset are part of the text, because a planner
 * that does not know them believes that a tenth of all rows is wanted.
 */
export function pageStatement(tenant: TenantId, query: SessionQuery): Statement {
  const { text, values } = selection(tenant, query);
  const { before, limit, offset = 0 } = query;
  const behind =
    before === undefined
      ? ""
      : ` AND (s.updated_at, s.session_key) < (SELECT b.updated_at, b.session_key FROM sessions b WHERE b.tenant_id = $1 AND b.session_key = $${values.push(before)})`;
  const page = `SELECT s.* ${text}${behind} ORDER BY s.updated_at DESC, s.session_key DESC LIMIT ${whole(limit) + 1} OFFSET ${whole(offset)}`;
  return {
    text: `/* sessions.list */ SELECT ${SESSION_COLUMNS} FROM (${page}) s
      CROSS JOIN LATERAL (SELECT * FROM session_leases x WHERE x.tenant_id = s.tenant_id AND x.session_key = s.session_key LIMIT 1) l
      ORDER BY s.updated_at DESC, s.session_key DESC`,
    values,
  };
}

/** In the order of an index, so that it is read as far as the count goes and no further. */
function countStatement(tenant: TenantId, query: SessionQuery): Statement {
  const { text, values } = selection(tenant, query);
  return {
    text: `/* sessions.count */ SELECT count(*) AS total FROM (SELECT ${text} ORDER BY s.updated_at DESC LIMIT ${SESSIONS_COUNTED}) x`,
    values,
  };
}

/** SessionStore.list. Counts only where the page does not tell by itself. */
export async function listSessions(
  run: TenantQuery,
  tenant: TenantId,
  query: SessionQuery,
): Promise<{ sessions: SessionRecord[]; total: number }> {
  const { before, limit, offset = 0 } = query;
  const page = pageStatement(tenant, query);
  const { rows } = await run<SessionRow>(page.text, page.values);
  const sessions = rows.slice(0, limit).map(sessionRecord);
  const reached = offset + rows.length;
  const isLastPage = before === undefined && rows.length <= limit && (rows.length > 0 || offset === 0);
  if (isLastPage) return { sessions, total: reached };
  const count = countStatement(tenant, query);
  const counted = await run<{ total: number }>(count.text, count.values);
  const total = counted.rows[0]?.total ?? 0;
  // Behind an offset past the end there is nothing that would tell of more.
  return { sessions, total: rows.length > 0 ? Math.max(total, reached) : total };
}
