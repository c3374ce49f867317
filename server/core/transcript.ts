import type { RunId } from "./ids.ts";

/** Bytes above which a body goes to object storage before the row that refers to it. */
export const INLINE_BODY_MAX_BYTES = 32 * 1024;

/** True for the JSON of a message that belongs into object storage. */
export function exceedsInline(json: string): boolean {
  // A UTF-16 unit is at most three bytes: most messages need no counting.
  return json.length * 3 > INLINE_BODY_MAX_BYTES && Buffer.byteLength(json) > INLINE_BODY_MAX_BYTES;
}

/** Rows of a session that may lie in the hot tail: a context, or the first page of a history, usually needs no more. */
export const HOT_TAIL_ROWS = 200;

/** A content-addressed object: its key is derived from tenant and hash (object-key.ts). */
export interface ObjectRef {
  /** SHA-256 of the bytes, lower-case hex. */
  readonly sha256: string;
  readonly bytes: number;
}

/** A message in the row itself, or in object storage as the UTF-8 JSON of the same message. */
export type StoredBody = { readonly inline: TranscriptMessage } | { readonly object: ObjectRef };

export interface TextBlock {
  readonly type: "text";
  readonly text: string;
}
export interface ThinkingBlock {
  readonly type: "thinking";
  readonly thinking: string;
}
export interface ToolCallBlock {
  readonly type: "toolCall";
  readonly id: string;
  readonly name: string;
  readonly arguments: Readonly<Record<string, unknown>>;
}
export interface ImageBlock {
  readonly type: "image";
  readonly data: string;
  readonly mimeType: string;
}
export type ContentBlock = TextBlock | ThinkingBlock | ToolCallBlock | ImageBlock;

/** Token counts and cost in the shape of OpenClaw's assistant rows. */
export interface Usage {
  readonly input: number;
  readonly output: number;
  readonly cacheRead?: number;
  readonly cacheWrite?: number;
  readonly totalTokens?: number;
}

/**
 * The `message` object of one line of an OpenClaw transcript, which is also @openclaw/ai's `Message`.
 * Fields that we do not know are kept as they came.
 */
export interface TranscriptMessage {
  readonly role: "user" | "assistant" | "toolResult" | "system";
  readonly content: string | readonly ContentBlock[];
  /** Epoch milliseconds. */
  readonly timestamp: number;
  readonly stopReason?: string;
  readonly usage?: Usage;
  readonly provider?: string;
  readonly model?: string;
  readonly toolCallId?: string;
  readonly toolName?: string;
  readonly isError?: boolean;
  readonly [field: string]: unknown;
}

/** A message on its way into the transcript. The ledger gives it its `seq`. */
export interface NewMessage {
  /** Unique within the session; chosen by the writer, so that a repeated write is recognised. */
  readonly messageId: string;
  /** `<runId>:user` on user rows, as OpenClaw's clients expect (protocol.md 4). */
  readonly idempotencyKey?: string;
  readonly body: StoredBody;
}

/** One row of the transcript. */
export interface TranscriptRow {
  /** Position in the session, without gaps, over resets; from 1, or from where a deleted session of the key ended. */
  readonly seq: number;
  readonly messageId: string;
  readonly parentId: string | null;
  readonly runId: RunId | null;
  readonly idempotencyKey: string | null;
  readonly body: StoredBody;
  /** The store's clock, epoch milliseconds. */
  readonly createdAt: number;
}

/** The row that a reset leaves: as the genuine gateway writes it, so that its clients draw the same divider. */
export const resetMessage = (reason: string, timestamp: number): TranscriptMessage => ({
  role: "system",
  content: "",
  timestamp,
  __openclaw: { kind: "reset", reason },
});

/** Id of the row of the reset that a request asked for: what makes it happen once. */
export const resetMessageId = (requestId: string): string => `reset:${requestId}`;

/** The visible text of a message: its text blocks joined. */
export function messageText(message: TranscriptMessage): string {
  if (typeof message.content === "string") return message.content;
  let text = "";
  for (const block of message.content) if (block.type === "text") text += block.text;
  return text;
}
