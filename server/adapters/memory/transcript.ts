import { excerptsOf } from "../../core/excerpt.ts";
import type { RunId } from "../../core/ids.ts";
import type { NewMessage, TranscriptMessage, TranscriptRow } from "../../core/transcript.ts";
import type { MemoryStoreState, StoredSession } from "./state.ts";

/** Highest seq of the session's transcript. */
export const headSeq = (session: StoredSession): number => session.baseSeq + session.rows.length;

/**
 * Appends a message, or answers the row that its messageId has already. The body is the caller's in both cases: the
 * stored one may have been sealed meanwhile.
 */
export function appendMessage(
  state: MemoryStoreState,
  session: StoredSession,
  message: NewMessage,
  runId: RunId | null,
): { row: TranscriptRow; added: boolean } {
  const known = session.rowsById.get(message.messageId);
  if (known) return { row: { ...known, body: message.body }, added: false };
  const row: TranscriptRow = {
    seq: headSeq(session) + 1,
    messageId: message.messageId,
    parentId: session.rows.at(-1)?.messageId ?? null,
    runId,
    idempotencyKey: message.idempotencyKey ?? null,
    body: message.body,
    createdAt: state.now(),
  };
  const stored = { ...row };
  session.rows.push(stored);
  session.rowsById.set(row.messageId, stored);
  // The text of a body in object storage is not at hand here: such a row leaves preview and title as they were.
  if ("inline" in row.body) describe(session, row.body.inline);
  return { row, added: true };
}

function describe(session: StoredSession, message: TranscriptMessage): void {
  const { preview, title } = excerptsOf(message);
  session.lastMessagePreview = preview ?? session.lastMessagePreview;
  session.derivedTitle ??= title;
}
