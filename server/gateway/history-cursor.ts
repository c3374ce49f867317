import type { SessionRecord } from "../core/session.ts";

/**
 * How far a client has read a session: `deltaCursor`, opaque to clients. Rows are only appended while a history lasts,
 * so a position within one history is all there is to know; every gateway reads every other's cursors.
 */
interface HistoryPosition {
  readonly v: 1;
  readonly sessionId: string;
  /** `lifecycleRevision` of the history: another one begins with each reset. */
  readonly revision: number;
  /** The last row the client has. */
  readonly seq: number;
}

export function historyCursor({ sessionId, lifecycleRevision, headSeq }: SessionRecord): string {
  const position: HistoryPosition = { v: 1, sessionId, revision: lifecycleRevision, seq: headSeq };
  return Buffer.from(JSON.stringify(position)).toString("base64url");
}

/** The row from which a client goes on, or null where the cursor is not of this history: the client starts anew. */
export function seqOfCursor(cursor: string, session: SessionRecord): number | null {
  let position: Partial<HistoryPosition> | null;
  try {
    position = JSON.parse(
      Buffer.from(cursor, "base64url").toString("utf8"),
    ) as Partial<HistoryPosition> | null;
  } catch {
    return null;
  }
  if (typeof position !== "object" || position === null) return null;
  const { v, sessionId, revision, seq } = position;
  if (v !== 1 || sessionId !== session.sessionId || revision !== session.lifecycleRevision) return null;
  if (!Number.isSafeInteger(seq) || seq === undefined) return null;
  return seq >= session.resetSeq && seq <= session.headSeq ? seq : null;
}
