import type pg from "pg";
import { firstKeptSeqOf } from "../../core/compaction.ts";
import type { SessionKey, TenantId } from "../../core/ids.ts";
import {
  type PatchExpectations,
  type PatchRefusal,
  patchRefused,
  type SessionPatch,
  type SessionRecord,
} from "../../core/session.ts";
import {
  resetMessage,
  resetMessageId,
  type TranscriptMessage,
  type TranscriptRow,
} from "../../core/transcript.ts";
import type { Random } from "../../ports/random.ts";
import {
  type LargeBody,
  type SealCandidate,
  type Segment,
  type SessionStore,
} from "../../ports/session-store.ts";
import { excerptsOf } from "../../core/excerpt.ts";
import { translated } from "./errors.ts";
import { jsonbParameter } from "./json.ts";
import { bodyColumns } from "./rows.ts";
import { listSessions } from "./session-list.ts";
import { SEAL_MAX_BYTES, SEAL_THRESHOLD_ROWS, SEGMENT_MAX_ROWS } from "./seal.ts";
import {
  MESSAGE_COLUMNS,
  type MessageRow,
  SESSION_COLUMNS,
  type SegmentRow,
  type SessionRow,
  segmentOf,
  sessionRecord,
  transcriptRow,
} from "./session-rows.ts";
import { atOneMoment, inTenant, readOnce, type TenantQuery } from "./tenant-scope.ts";

export interface PostgresSessionStoreOptions {
  readonly pool: pg.Pool;
  readonly random: Random;
}

const FROM_SESSIONS = `FROM sessions s JOIN session_leases l ON l.tenant_id = s.tenant_id AND l.session_key = s.session_key`;

// Params: $1 tenant, $2 key.
const GET = `/* sessions.get */ SELECT ${SESSION_COLUMNS} ${FROM_SESSIONS} WHERE s.tenant_id = $1 AND s.session_key = $2`;

// Params: $1 tenant, $2 prefix, $3 first key behind all that begin with it, $4 limit.
const WITH_PREFIX = `/* sessions.with_prefix */ SELECT ${SESSION_COLUMNS} ${FROM_SESSIONS}
  WHERE s.tenant_id = $1 AND s.session_key >= $2 AND s.session_key < $3 ORDER BY s.session_key LIMIT $4`;

const PATCH = "/* sessions.patch */ SELECT change_session($1, $2, $3) AS outcome";
const CREATE = "/* sessions.create */ SELECT create_session($1, $2, $3, $4, $5, $6) AS created";
const POOL = "/* sessions.pool */ SELECT pool FROM tenants WHERE tenant_id = $1";
const RESET = "/* sessions.reset */ SELECT reset_session_once($1, $2, $3, $4) AS reset";
const DELETE = "/* sessions.delete */ SELECT delete_session($1, $2) AS deleted";
const APPEND = "/* sessions.append */ SELECT append_message($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) AS seq";
const MESSAGE = `/* sessions.message */ SELECT ${MESSAGE_COLUMNS} FROM messages m WHERE m.tenant_id = $1 AND m.session_key = $2 AND m.seq = $3`;
// Rows of runs have no index by their id: the newest are looked at first, and a transcript is read once at most.
// By the index messages_compactions, whose condition it repeats. Its id says where the context begins: the row may be sealed.
const NEWEST_COMPACTION = `/* sessions.newest_compaction */ SELECT m.message_id FROM messages m
  WHERE m.tenant_id = $1 AND m.session_key = $2 AND m.message_id LIKE 'compaction:%' AND m.seq > $3
  ORDER BY m.seq DESC LIMIT 1`;
// In the order of their hashes, as every statement that adds artifacts. Params: $1 tenant, $2 kind, $3 hashes, $4 sizes.
const NOTE_OBJECTS = `/* sessions.note_objects */ INSERT INTO artifacts (tenant_id, sha256, bytes, kind)
  SELECT $1, o.sha256, o.bytes, $2 FROM unnest($3::text[], $4::bigint[]) AS o(sha256, bytes) ORDER BY o.sha256
  ON CONFLICT DO NOTHING`;
const SEQ_OF = `/* sessions.seq_of */ SELECT m.seq FROM messages m
  WHERE m.tenant_id = $1 AND m.session_key = $2 AND m.message_id = $3 ORDER BY m.seq DESC LIMIT 1`;
const HEADS =
  "/* sessions.heads */ SELECT head_seq, base_seq, reset_seq, sealed_seq FROM session_leases WHERE tenant_id = $1 AND session_key = $2 AND session_id IS NOT NULL";
const ROWS = `/* sessions.rows */ SELECT ${MESSAGE_COLUMNS} FROM messages m
  WHERE m.tenant_id = $1 AND m.session_key = $2 AND m.seq BETWEEN $3 AND $4 ORDER BY m.seq`;
// Params: as ROWS, $5 bytes. The first row always, then as many as fit; the sizes are known without reading the bodies.
const ROWS_TO_SEAL = `/* sessions.rows_to_seal */ SELECT ${MESSAGE_COLUMNS}, m.total::float8 AS total
  FROM (
    SELECT m.*, coalesce(pg_column_size(m.body), 0) AS size, sum(coalesce(pg_column_size(m.body), 0)) OVER (ORDER BY m.seq) AS total
    FROM messages m WHERE m.tenant_id = $1 AND m.session_key = $2 AND m.seq BETWEEN $3 AND $4
  ) m WHERE m.total - m.size = 0 OR m.total <= $5 ORDER BY m.seq`;
const SEGMENTS = `/* sessions.segments */ SELECT first_seq, last_seq, sha256, bytes FROM transcript_segments
  WHERE tenant_id = $1 AND session_key = $2 AND last_seq >= $3 AND first_seq <= $4 ORDER BY first_seq`;
const SEAL_CANDIDATES = "/* sessions.seal_candidates */ SELECT * FROM seal_candidates($1, $2, $3, $4)";
const SEAL = "/* sessions.seal */ SELECT seal_rows($1, $2, $3, $4, $5, $6, $7)";
const LARGE_BODIES = "/* sessions.large_bodies */ SELECT * FROM large_bodies($1, $2)";
const MOVE_BODY = "/* sessions.move_body */ SELECT move_body($1, $2, $3, $4, $5)";

interface Heads {
  readonly head_seq: number;
  readonly base_seq: number;
  readonly reset_seq: number;
  readonly sealed_seq: number;
}

/** SessionStore on PostgreSQL. Every statement runs under the row-level security of its tenant. */
export function postgresSessionStore({ pool, random }: PostgresSessionStoreOptions): SessionStore {
  return {
    async get(tenant, key) {
      const [row] = await readOnce<SessionRow>(pool, tenant, "read a session", GET, [tenant, key]);
      return row ? sessionRecord(row) : null;
    },

    list: (tenant, query) =>
      atOneMoment(pool, tenant, "list sessions", (run) => listSessions(run, tenant, query)),

    withPrefix: (tenant, prefix, limit) =>
      inTenant(pool, tenant, "find sessions by the beginning of their keys", async (query) => {
        const { rows } = await query<SessionRow>(WITH_PREFIX, [tenant, prefix, `${prefix}\u{10ffff}`, limit]);
        return rows.map(sessionRecord);
      }),

    create: (tenant, { key, agentId, sessionId, createdVia, ...patch }) =>
      inTenant(pool, tenant, "create a session", async (query) => {
        const found = await query<{ pool: string }>(POOL, [tenant]);
        const values = [tenant, key, agentId, sessionId, createdVia, found.rows[0]?.pool ?? "shared"];
        const { rows } = await query<{ created: boolean }>(CREATE, values);
        const created = rows[0]?.created ?? false;
        if (created && Object.keys(patch).length > 0) await patchSession(query, tenant, key, patch);
        return { session: (await getSession(query, tenant, key)) as SessionRecord, created };
      }),

    patch: (tenant, key, patch) =>
      inTenant(pool, tenant, "change a session", async (query) =>
        (await patchSession(query, tenant, key, patch)) ? getSession(query, tenant, key) : null,
      ),

    reset: (tenant, key, reason, requestId) =>
      inTenant(pool, tenant, "reset a session", async (query) => {
        const { rows } = await query<{ reset: boolean }>(RESET, [
          tenant,
          key,
          resetMessageId(requestId ?? random.uuid()),
          JSON.stringify(resetMessage(reason, Date.now())),
        ]);
        return rows[0]?.reset ? getSession(query, tenant, key) : null;
      }),

    delete: (tenant, key) =>
      inTenant(pool, tenant, "delete a session", async (query) => {
        const { rows } = await query<{ deleted: boolean }>(DELETE, [tenant, key]);
        return { deleted: rows[0]?.deleted ?? false };
      }),

    append: (tenant, key, message) =>
      inTenant(pool, tenant, "append a message", async (query) => {
        const { body, sha, bytes } = bodyColumns(message.body);
        const { preview, title } =
          "inline" in message.body ? excerptsOf(message.body.inline) : { preview: null, title: null };
        const values = [
          tenant,
          key,
          message.messageId,
          message.idempotencyKey ?? null,
          body,
          sha,
          bytes,
          preview,
          title,
          SEAL_THRESHOLD_ROWS,
        ];
        const { rows } = await query<{ seq: number | null }>(APPEND, values);
        const seq = rows[0]?.seq ?? null;
        if (seq === null) return null;
        const stored = await query<MessageRow>(MESSAGE, [tenant, key, seq]);
        // The body is the caller's: that of a row which was there already may have been sealed meanwhile.
        return stored.rows[0] ? { ...transcriptRow(stored.rows[0]), body: message.body } : null;
      }),

    history: (tenant, key, { limit, beforeSeq, includeReset }) =>
      atOneMoment(pool, tenant, "read history", async (query) => {
        const heads = await readHeads(query, tenant, key);
        if (!heads) return { rows: [], segments: [], total: 0, fromSeq: 0 };
        const from = includeReset ? heads.base_seq : heads.reset_seq;
        const last = Math.min(heads.head_seq, (beforeSeq ?? Number.MAX_SAFE_INTEGER) - 1);
        const first = Math.max(from + 1, last - limit + 1);
        const range = await readRange(query, tenant, key, heads, first, last);
        return { ...range, total: heads.head_seq - from, fromSeq: from };
      }),

    seqOf: (tenant, key, messageId) =>
      inTenant(pool, tenant, "find a message", async (query) => {
        const { rows } = await query<{ seq: number }>(SEQ_OF, [tenant, key, messageId]);
        return rows[0]?.seq ?? null;
      }),

    context: (tenant, key, afterSeq) =>
      atOneMoment(pool, tenant, "read the context", async (query) => {
        const heads = await readHeads(query, tenant, key);
        if (!heads) return { rows: [], segments: [], fromSeq: afterSeq + 1 };
        const { rows } = await query<{ message_id: string }>(NEWEST_COMPACTION, [
          tenant,
          key,
          heads.reset_seq,
        ]);
        const firstKept = rows[0] ? firstKeptSeqOf(rows[0].message_id) : null;
        const fromSeq = Math.max(heads.reset_seq + 1, afterSeq + 1, firstKept ?? 0);
        return { ...(await readRange(query, tenant, key, heads, fromSeq, heads.head_seq)), fromSeq };
      }),

    noteObjects: (tenant, kind, objects) =>
      inTenant(pool, tenant, "note objects", async (query) => {
        const hashes = objects.map(({ sha256 }) => sha256);
        await query(NOTE_OBJECTS, [tenant, kind, hashes, objects.map(({ bytes }) => bytes)]);
      }),

    async sealCandidates(tailRows, limit) {
      const values = [tailRows, limit, SEGMENT_MAX_ROWS, tailRows < SEAL_THRESHOLD_ROWS];
      const found = await translated(
        "list sessions to seal",
        async () =>
          (
            await pool.query<{
              tenant_id: string;
              session_key: string;
              last_seq: number;
              sealed_seq: number;
            }>(SEAL_CANDIDATES, values)
          ).rows,
      );
      const candidates: SealCandidate[] = [];
      let left = SEAL_MAX_BYTES;
      for (const row of found) {
        if (left < SEAL_MAX_BYTES / 2) break; // the next call has room for a segment worth its object
        const tenant = row.tenant_id as TenantId;
        const sessionKey = row.session_key as SessionKey;
        const range = [tenant, sessionKey, row.sealed_seq + 1, row.last_seq, left];
        const { rows } = await inTenant(pool, tenant, "read rows to seal", (query) =>
          query<MessageRow & { total: number }>(ROWS_TO_SEAL, range),
        );
        if (rows.length > 0) candidates.push({ tenant, sessionKey, rows: rows.map(transcriptRow) });
        left -= rows.at(-1)?.total ?? 0;
      }
      return candidates;
    },

    seal: (tenant, key, { firstSeq, lastSeq, object }) =>
      inTenant(pool, tenant, "seal a segment", async (query) => {
        await query(SEAL, [tenant, key, firstSeq, lastSeq, object.sha256, object.bytes, SEAL_THRESHOLD_ROWS]);
      }),

    async largeBodies(limit) {
      const { rows } = await translated("list large bodies", () =>
        pool.query<{ tenant_id: string; session_key: string; seq: number; body: TranscriptMessage }>(
          LARGE_BODIES,
          [limit, SEAL_MAX_BYTES],
        ),
      );
      return rows.map((row): LargeBody => ({
        tenant: row.tenant_id as TenantId,
        sessionKey: row.session_key as SessionKey,
        seq: row.seq,
        message: row.body,
      }));
    },

    moveBody: (tenant, key, seq, { sha256, bytes }) =>
      inTenant(pool, tenant, "move a large body", async (query) => {
        await query(MOVE_BODY, [tenant, key, seq, sha256, bytes]);
      }),

    async close() {}, // the pool belongs to whoever opened it
  };
}

async function getSession(
  query: TenantQuery,
  tenant: TenantId,
  key: SessionKey,
): Promise<SessionRecord | null> {
  const { rows } = await query<SessionRow>(GET, [tenant, key]);
  return rows[0] ? sessionRecord(rows[0]) : null;
}

/** @returns whether there is such a session @throws HAError REQUEST_INVALID where the patch is refused */
async function patchSession(
  query: TenantQuery,
  tenant: TenantId,
  key: SessionKey,
  patch: SessionPatch & PatchExpectations,
): Promise<boolean> {
  const values = [tenant, key, jsonbParameter(patch)];
  const { rows } = await query<{ outcome: "changed" | "missing" | PatchRefusal }>(PATCH, values);
  const outcome = rows[0]?.outcome ?? "missing";
  if (outcome === "changed" || outcome === "missing") return outcome === "changed";
  throw patchRefused(outcome, key, patch);
}

async function readHeads(query: TenantQuery, tenant: TenantId, key: SessionKey): Promise<Heads | null> {
  const { rows } = await query<Heads>(HEADS, [tenant, key]);
  return rows[0] ?? null;
}

async function readRows(
  query: TenantQuery,
  tenant: TenantId,
  key: SessionKey,
  first: number,
  last: number,
): Promise<TranscriptRow[]> {
  const { rows } = await query<MessageRow>(ROWS, [tenant, key, first, last]);
  return rows.map(transcriptRow);
}

/**
 * Rows of the hot tail within first..last, and the segments that hold the older part of that range. Heads, rows and
 * segments must be of one moment: the archiver empties rows at any time.
 */
async function readRange(
  query: TenantQuery,
  tenant: TenantId,
  key: SessionKey,
  heads: Heads,
  first: number,
  last: number,
): Promise<{ rows: TranscriptRow[]; segments: Segment[] }> {
  const rows = await readRows(query, tenant, key, Math.max(first, heads.sealed_seq + 1), last);
  if (first > heads.sealed_seq || first > last) return { rows, segments: [] };
  const { rows: found } = await query<SegmentRow>(SEGMENTS, [tenant, key, first, last]);
  return { rows, segments: found.map(segmentOf) };
}
