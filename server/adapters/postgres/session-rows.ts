import type { AgentId, RunId, SessionKey, TenantId } from "../../core/ids.ts";
import type { SessionRecord } from "../../core/session.ts";
import type { TranscriptMessage, TranscriptRow } from "../../core/transcript.ts";
import type { Segment } from "../../ports/session-store.ts";
import { storedBody } from "./rows.ts";

/** Columns of SessionRecord; `s` is sessions, `l` its row of session_leases. Times are epoch milliseconds. */
export const SESSION_COLUMNS = `
  s.tenant_id, s.session_key, s.session_id, s.agent_id, s.created_via, s.spawned_by, s.spawn_depth, s.lifecycle_revision, s.label, s.model,
  s.thinking_level, s.verbose_level, s.queue_mode, s.archived, s.pinned, s.read_seq, s.input_tokens, s.output_tokens, s.last_preview,
  s.derived_title, s.last_run_id, l.head_seq, l.head_message_id, l.reset_seq,
  floor(extract(epoch FROM s.created_at) * 1000)::float8 AS created_ms,
  floor(extract(epoch FROM s.updated_at) * 1000)::float8 AS updated_ms,
  epoch_ms(s.marked_unread_at) AS marked_unread_ms,
  (SELECT (r.result ->> 'contextTokens')::integer FROM runs r
    WHERE r.tenant_id = s.tenant_id AND r.run_id = s.last_run_id) AS context_tokens,
  coalesce(l.run_id, (SELECT r.run_id FROM runs r WHERE l.queued > 0 AND r.tenant_id = s.tenant_id
    AND r.session_key = s.session_key AND r.ended_at IS NULL ORDER BY r.run_order LIMIT 1)) AS active_run_id`;

export interface SessionRow {
  readonly tenant_id: string;
  readonly session_key: string;
  readonly session_id: string;
  readonly agent_id: string;
  readonly created_via: string;
  readonly spawned_by: string | null;
  readonly spawn_depth: number | null;
  readonly lifecycle_revision: number;
  readonly label: string | null;
  readonly model: string | null;
  readonly thinking_level: string | null;
  readonly verbose_level: string | null;
  readonly queue_mode: string | null;
  readonly archived: boolean;
  readonly pinned: boolean;
  readonly read_seq: number;
  readonly marked_unread_ms: number | null;
  readonly input_tokens: number;
  readonly output_tokens: number;
  readonly context_tokens: number | null;
  readonly last_preview: string | null;
  readonly derived_title: string | null;
  readonly last_run_id: string | null;
  readonly head_seq: number;
  readonly head_message_id: string | null;
  readonly reset_seq: number;
  readonly created_ms: number;
  readonly updated_ms: number;
  readonly active_run_id: string | null;
}

export const sessionRecord = (row: SessionRow): SessionRecord => ({
  tenant: row.tenant_id as TenantId,
  key: row.session_key as SessionKey,
  sessionId: row.session_id,
  agentId: row.agent_id as AgentId,
  createdAt: row.created_ms,
  updatedAt: row.updated_ms,
  createdVia: row.created_via,
  spawnedBy: row.spawned_by as SessionKey | null,
  spawnDepth: row.spawn_depth ?? 0,
  lifecycleRevision: row.lifecycle_revision,
  headSeq: row.head_seq,
  headMessageId: row.head_message_id,
  resetSeq: row.reset_seq,
  messageCount: row.head_seq - row.reset_seq,
  label: row.label,
  model: row.model,
  thinkingLevel: row.thinking_level,
  verboseLevel: row.verbose_level,
  queueMode: row.queue_mode,
  archived: row.archived,
  pinned: row.pinned,
  readSeq: row.read_seq,
  markedUnreadAt: row.marked_unread_ms,
  inputTokens: row.input_tokens,
  outputTokens: row.output_tokens,
  contextTokens: row.context_tokens,
  lastMessagePreview: row.last_preview,
  derivedTitle: row.derived_title,
  activeRunId: row.active_run_id as RunId | null,
  lastRunId: row.last_run_id as RunId | null,
});

/** Columns of TranscriptRow from `messages m`. */
export const MESSAGE_COLUMNS = `
  m.seq, m.message_id, m.parent_id, m.run_id, m.idempotency_key, m.body, m.object_sha256, m.object_bytes,
  floor(extract(epoch FROM m.created_at) * 1000)::float8 AS created_ms`;

export interface MessageRow {
  readonly seq: number;
  readonly message_id: string;
  readonly parent_id: string | null;
  readonly run_id: string | null;
  readonly idempotency_key: string | null;
  readonly body: TranscriptMessage | null;
  readonly object_sha256: string | null;
  readonly object_bytes: number | null;
  readonly created_ms: number;
}

export const transcriptRow = (row: MessageRow): TranscriptRow => ({
  seq: row.seq,
  messageId: row.message_id,
  parentId: row.parent_id,
  runId: row.run_id as RunId | null,
  idempotencyKey: row.idempotency_key,
  body: storedBody(row.body, row.object_sha256, row.object_bytes),
  createdAt: row.created_ms,
});

export interface SegmentRow {
  readonly first_seq: number;
  readonly last_seq: number;
  readonly sha256: string;
  readonly bytes: number;
}

export const segmentOf = (row: SegmentRow): Segment => ({
  firstSeq: row.first_seq,
  lastSeq: row.last_seq,
  object: { sha256: row.sha256, bytes: row.bytes },
});
