import type pg from "pg";
import { bodyReader } from "../../server/bodies/body-store.ts";
import type { TenantId } from "../../server/core/ids.ts";
import { messageText, type TranscriptMessage, type TranscriptRow } from "../../server/core/transcript.ts";
import type { ObjectStore } from "../../server/ports/object-store.ts";
import type { StoredRow, StoresSnapshot } from "./snapshot.ts";

type FromDatabase = Pick<StoresSnapshot, "runs" | "rows" | "leases" | "steps" | "idempotency">;

const ms = (column: string): string => `(extract(epoch FROM ${column}) * 1000)::float8`;

const RUNS = `SELECT tenant_id AS tenant, run_id AS "runId", session_key AS "sessionKey", run_order::int AS "runOrder",
    status, attempt, failures, fencing_token::int AS token, result ->> 'text' AS text, result ->> 'mergedInto' AS "mergedInto",
    coalesce(error ->> 'message', error::text) AS error, ${ms("accepted_at")} AS "acceptedAt",
    ${ms("started_at")} AS "startedAt", ${ms("ended_at")} AS "endedAt"
  FROM openclaw_ha.runs WHERE starts_with(session_key, $1) ORDER BY tenant_id, session_key, run_order`;

const LEASES = `SELECT tenant_id AS tenant, session_key AS "sessionKey", fencing_token::int AS token,
    worker_id AS worker, queued, ready_since IS NOT NULL AS ready
  FROM openclaw_ha.session_leases WHERE starts_with(session_key, $1) ORDER BY 1, 2`;

const STEPS = `SELECT s.tenant_id AS tenant, s.run_id AS "runId", s.step_no AS "stepNo", s.kind,
    s.tool_call_id AS "toolCallId", s.tool_name AS "toolName", s.idempotent, s.fencing_token::int AS token
  FROM openclaw_ha.steps s JOIN openclaw_ha.runs r USING (tenant_id, run_id)
  WHERE starts_with(r.session_key, $1) ORDER BY 1, 2, 3`;

const IDEMPOTENCY = `SELECT tenant_id AS tenant, idempotency_key AS key, session_key AS "sessionKey"
  FROM openclaw_ha.idempotency_records WHERE starts_with(session_key, $1) ORDER BY 1, 2`;

const MESSAGES = `SELECT tenant_id AS tenant, session_key AS "sessionKey", seq::int AS seq, message_id AS "messageId",
    parent_id AS "parentId", run_id AS "runId", idempotency_key AS "idempotencyKey", body, object_sha256 AS sha256,
    object_bytes::int AS bytes
  FROM openclaw_ha.messages WHERE starts_with(session_key, $1)`;

const SEGMENTS = `SELECT tenant_id AS tenant, session_key AS "sessionKey", sha256, bytes::int AS bytes
  FROM openclaw_ha.transcript_segments WHERE starts_with(session_key, $1)`;

interface MessageRecord extends Omit<StoredRow, "role" | "text"> {
  readonly idempotencyKey: string | null;
  readonly body: TranscriptMessage | null;
  readonly sha256: string | null;
  readonly bytes: number | null;
}

interface SegmentRecord {
  readonly tenant: string;
  readonly sessionKey: string;
  readonly sha256: string;
  readonly bytes: number;
}

/** What PostgreSQL holds of the sessions whose keys begin so, with bodies and segments read back from objects. */
export async function readDatabase(
  database: pg.Pool,
  options: { readonly sessionPrefix: string; readonly objects: Pick<ObjectStore, "get"> | null },
): Promise<FromDatabase> {
  const { objects, sessionPrefix } = options;
  const rowsOf = async <Row extends pg.QueryResultRow>(statement: string): Promise<Row[]> =>
    (await database.query<Row>(statement, [sessionPrefix])).rows;
  const [runs, leases, steps, idempotency, messages, segments] = await Promise.all([
    rowsOf<FromDatabase["runs"][number]>(RUNS),
    rowsOf<FromDatabase["leases"][number]>(LEASES),
    rowsOf<FromDatabase["steps"][number]>(STEPS),
    rowsOf<FromDatabase["idempotency"][number]>(IDEMPOTENCY),
    rowsOf<MessageRecord>(MESSAGES),
    rowsOf<SegmentRecord>(SEGMENTS),
  ]);
  const sealed = await readSegments(segments, objects);
  const rows: StoredRow[] = [];
  for (const record of messages) {
    const { body, bytes, idempotencyKey, sha256, ...row } = record;
    const key = placeOf(row.tenant, row.sessionKey, row.seq);
    const message =
      sha256 === null ? body : await loadBody(row.tenant, { sha256, bytes: bytes ?? 0 }, objects);
    const fromSegment = sealed.get(key);
    sealed.delete(key);
    if (message === null && fromSegment !== undefined) {
      rows.push(fromSegment);
      continue;
    }
    rows.push({
      ...row,
      role: message?.role ?? (idempotencyKey?.endsWith(":user") ? "user" : "assistant"),
      text: message === null ? "" : messageText(message),
    });
  }
  // What only a segment holds any more.
  rows.push(...sealed.values());
  rows.sort((a, b) => compare(a.tenant, b.tenant) || compare(a.sessionKey, b.sessionKey) || a.seq - b.seq);
  return { runs, rows, leases, steps, idempotency };
}

async function readSegments(
  segments: readonly SegmentRecord[],
  objects: Pick<ObjectStore, "get"> | null,
): Promise<Map<string, StoredRow>> {
  const found = new Map<string, StoredRow>();
  if (objects === null) return found;
  const bodies = bodyReader(objects);
  for (const { tenant, sessionKey, sha256, bytes } of segments) {
    for (const row of await bodies.loadSegment(tenant as TenantId, { sha256, bytes })) {
      const message = await bodies.load(tenant as TenantId, row.body);
      found.set(placeOf(tenant, sessionKey, row.seq), storedRow(tenant, sessionKey, row, message));
    }
  }
  return found;
}

async function loadBody(
  tenant: string,
  object: { readonly sha256: string; readonly bytes: number },
  objects: Pick<ObjectStore, "get"> | null,
): Promise<TranscriptMessage | null> {
  return objects === null ? null : bodyReader(objects).load(tenant as TenantId, { object });
}

const storedRow = (
  tenant: string,
  sessionKey: string,
  { messageId, parentId, runId, seq }: TranscriptRow,
  message: TranscriptMessage,
): StoredRow => ({
  tenant,
  sessionKey,
  seq,
  messageId,
  parentId,
  runId,
  role: message.role,
  text: messageText(message),
});

const placeOf = (tenant: string, sessionKey: string, seq: number): string =>
  `${tenant}\n${sessionKey}\n${seq}`;
const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
