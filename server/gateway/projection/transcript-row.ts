import type { RunId } from "../../core/ids.ts";
import type { ContentBlock, TranscriptMessage, TranscriptRow } from "../../core/transcript.ts";

/**
 * A transcript row as history and `session.message` carry it: the message, and under `__openclaw` where it stands.
 * Durable assistant rows need `runId` (the Control UI shows the reply twice without it), user rows the
 * `idempotencyKey` `<runId>:user`.
 */
export function wireMessage(
  row: TranscriptRow,
  message: TranscriptMessage,
): Readonly<Record<string, unknown>> {
  const own = message["__openclaw"] as Readonly<Record<string, unknown>> | undefined;
  const divider =
    message.role === "system" && message.content === "" ? DIVIDERS[String(own?.kind)] : undefined;
  const steeredInto = message.role === "user" ? runThatItJoined(row) : null;
  return {
    ...message,
    ...(Array.isArray(message.content) ? { content: message.content.map(withoutData) } : {}),
    ...(divider === undefined ? {} : { content: [{ type: "text", text: divider }] }),
    ...(row.idempotencyKey === null ? {} : { idempotencyKey: row.idempotencyKey }),
    __openclaw: {
      ...shown(own),
      id: row.messageId,
      seq: row.seq,
      ...(row.parentId === null ? {} : { parentId: row.parentId }),
      ...(row.runId === null || message.role === "user" ? {} : { runId: row.runId }),
      ...(steeredInto === null ? {} : { steerTargetRunId: steeredInto }),
      ...(row.idempotencyKey === null ? {} : { idempotencyKey: row.idempotencyKey }),
      recordTimestampMs: row.createdAt,
    },
  };
}

/** What the genuine gateway calls the rows at which clients draw a line. */
const DIVIDERS: Readonly<Record<string, string>> = { reset: "Reset", compaction: "Compaction" };

/** As in OpenClaw, the bytes of an image do not travel with the history. */
function withoutData(block: ContentBlock): unknown {
  if (block.type !== "image") return block;
  const { data, ...rest } = block;
  return { ...rest, omitted: true, bytes: Math.floor((data.length * 3) / 4) };
}

/** Characters of a waiting message that are shown; the whole of it is in its row, once its run has begun. */
const PENDING_CHARACTERS = 10_000;

/** A message whose run has not begun, as `pendingInputs` carries it: without a place yet. */
export function pendingMessage(runId: RunId, message: TranscriptMessage): Readonly<Record<string, unknown>> {
  const { content } = message;
  const isLong = typeof content === "string" && content.length > PENDING_CHARACTERS;
  return {
    ...message,
    content: isLong
      ? `${content.slice(0, PENDING_CHARACTERS).toWellFormed()}…`
      : Array.isArray(content)
        ? content.map(withoutData)
        : content,
    idempotencyKey: `${runId}:user`,
  };
}

/** A compaction's summary is for the model: clients are told its sizes. */
function shown(own: Readonly<Record<string, unknown>> | undefined): typeof own {
  if (own?.kind !== "compaction") return own;
  const { kind, tokensBefore, tokensAfter } = own;
  return { kind, tokensBefore, tokensAfter };
}

/** A user's row belongs to the run that answers it: its own, or the one that it was steered into. */
const runThatItJoined = ({ runId, idempotencyKey }: TranscriptRow): RunId | null =>
  runId !== null && idempotencyKey?.endsWith(":user") && idempotencyKey !== `${runId}:user` ? runId : null;

/** A row whose bytes cannot be had now (object storage is away): its place is kept, its text is not invented. */
export const unavailableMessage = (row: TranscriptRow): TranscriptMessage =>
  unavailable(row.idempotencyKey?.endsWith(":user") ? "user" : "assistant", row.createdAt);

/** As `unavailableMessage`, of a message whose run has not begun. */
export const unavailablePending = (acceptedAt: number): TranscriptMessage => unavailable("user", acceptedAt);

const unavailable = (role: "user" | "assistant", timestamp: number): TranscriptMessage => ({
  role,
  content: [{ type: "text", text: "[this message cannot be read at the moment]" }],
  timestamp,
  __openclaw: { unavailable: true },
});

/** The `chat` final of a row that no run wrote. The run that it names cannot be followed: there is none. */
export const chatInjected = (
  session: { readonly sessionKey: string; readonly agentId: string },
  row: TranscriptRow,
  message: TranscriptMessage,
): Readonly<Record<string, unknown>> => ({
  runId: `inject-${row.messageId}`,
  sessionKey: session.sessionKey,
  agentId: session.agentId,
  seq: 0,
  state: "final",
  message,
});

/** Payload of the `session.message` event. */
export const sessionMessage = (
  sessionKey: string,
  agentId: string,
  row: TranscriptRow,
  message: TranscriptMessage,
): Readonly<Record<string, unknown>> => ({
  sessionKey,
  agentId,
  ...(row.runId === null ? {} : { runId: row.runId }),
  message: wireMessage(row, message),
  messageId: row.messageId,
  messageSeq: row.seq,
});
