import type { AgentId, RunId, SessionKey, TenantId } from "../../core/ids.ts";
import type { Lane } from "../../core/lane.ts";
import type { RunOptions, RunRecord } from "../../core/run.ts";
import type { NewMessage, StoredBody, TranscriptMessage, TranscriptRow } from "../../core/transcript.ts";
import type { Grant, StartedTool, Step } from "../../ports/run-ledger.ts";

/** What `run_record()` of the schema builds; it has the shape of RunRecord already. */
export type RunJson = RunRecord;

/** Columns of `session_grant` (000004_claim.sql). */
export interface GrantRow {
  readonly tenant_id: string;
  readonly session_key: string;
  readonly run_id: string;
  readonly token: number;
  readonly session_id: string;
  readonly agent_id: string;
  readonly lane: string;
  readonly pool: string;
  readonly attempt: number;
  readonly failures: number;
  readonly options: RunOptions;
  readonly input_body: TranscriptMessage | null;
  readonly input_sha256: string | null;
  readonly input_bytes: number | null;
  readonly accepted_ms: number;
  readonly started_ms: number;
  readonly user_seq: number;
  readonly user_message_id: string;
  readonly user_parent_id: string | null;
  readonly user_ms: number;
  readonly head_seq: number;
  readonly reset_seq: number;
  readonly session_model: string | null;
  readonly session_thinking: string | null;
  readonly steps_done: number;
  readonly abort_requested: boolean;
  readonly started_tools: readonly StartedTool[] | null;
  readonly collected: readonly RunId[] | null;
}

export function grantOf(row: GrantRow): Grant {
  const body = storedBody(row.input_body, row.input_sha256, row.input_bytes);
  const runId = row.run_id as RunId;
  return {
    tenant: row.tenant_id as TenantId,
    sessionKey: row.session_key as SessionKey,
    runId,
    token: row.token,
    sessionId: row.session_id,
    agentId: row.agent_id as AgentId,
    lane: row.lane as Lane,
    pool: row.pool,
    attempt: row.attempt,
    failures: row.failures,
    input: { body, options: row.options },
    acceptedAt: row.accepted_ms,
    startedAt: row.started_ms,
    userRow: {
      seq: row.user_seq,
      messageId: row.user_message_id,
      parentId: row.user_parent_id,
      runId,
      idempotencyKey: `${runId}:user`,
      body,
      createdAt: row.user_ms,
    },
    headSeq: row.head_seq,
    resetSeq: row.reset_seq,
    sessionModel: row.session_model,
    sessionThinking: row.session_thinking,
    stepsDone: row.steps_done,
    startedTools: row.started_tools ?? [],
    abortRequested: row.abort_requested,
    collected: row.collected ?? [],
  };
}

/** A body from its columns. A sealed row has neither; the caller reads its segment instead. */
export function storedBody(
  inline: TranscriptMessage | null,
  sha256: string | null,
  bytes: number | null,
): StoredBody {
  if (sha256 !== null) return { object: { sha256, bytes: bytes ?? 0 } };
  return { inline: inline as TranscriptMessage };
}

/** A body as columns. It travels as JSON text, so that the row holds it byte for byte as it came. */
export const bodyColumns = (
  body: StoredBody,
): { body: string | null; sha: string | null; bytes: number | null } =>
  "inline" in body
    ? { body: JSON.stringify(body.inline), sha: null, bytes: null }
    : { body: null, sha: body.object.sha256, bytes: body.object.bytes };

/** Messages as `append_work()` takes them. */
export const messageItems = (messages: readonly NewMessage[]): unknown[] =>
  messages.map((message) => ({
    id: message.messageId,
    key: message.idempotencyKey ?? null,
    ...bodyColumns(message.body),
  }));

/** Steps as `append_work()` takes them. */
export const stepItems = (steps: readonly Step[]): unknown[] =>
  steps.map((step) => ({
    n: step.stepNo,
    kind: step.kind,
    tc: step.kind === "model" ? null : step.toolCallId,
    tn: step.kind === "tool_started" ? step.toolName : null,
    idem: step.kind === "tool_started" ? step.idempotent : null,
    err: step.kind === "tool_result" ? step.isError : null,
  }));

/** The rows that a write appended: the database gave the first its seq, the others follow. */
export function appendedRows(
  messages: readonly NewMessage[],
  runId: RunId | null,
  firstSeq: number | null,
  parentId: string | null,
  createdAt: number,
): TranscriptRow[] {
  return messages.map((message, index) => ({
    seq: (firstSeq ?? 0) + index,
    messageId: message.messageId,
    parentId: index === 0 ? parentId : (messages[index - 1]?.messageId ?? null),
    runId,
    idempotencyKey: message.idempotencyKey ?? null,
    body: message.body,
    createdAt,
  }));
}
