import type { SessionKey, TenantId } from "../core/ids.ts";
import type { SessionRecord } from "../core/session.ts";
import type { TranscriptMessage, TranscriptRow } from "../core/transcript.ts";
import type { SessionStore } from "../ports/session-store.ts";
import type { BodyReader } from "./bodies.ts";
import { unavailableMessage } from "./projection/transcript-row.ts";

export interface HistoryPage {
  readonly session: SessionRecord | null;
  /** Oldest first. */
  readonly messages: readonly { readonly row: TranscriptRow; readonly message: TranscriptMessage }[];
  /** All rows since the last reset. */
  readonly total: number;
  /** Offset of the page before this one, or null where this one reaches the beginning. */
  readonly nextOffset: number | null;
}

export interface HistoryRequest {
  readonly limit: number;
  /** How many of the newest rows to leave out. */
  readonly offset: number;
  /** Bytes of JSON at most; older rows are left to the next page, but one row is always given. */
  readonly maxBytes: number;
}

/** Bodies fetched from object storage at once. */
const LOADS_AT_ONCE = 16;

/**
 * A page of a session's transcript, counted from its end: the hot tail from the store, older rows from their sealed
 * segments, large bodies from object storage. A single body that cannot be had is shown as such.
 * @throws HAError STORE_UNAVAILABLE when a whole segment cannot be read now
 */
export async function readHistory(
  deps: { readonly sessions: SessionStore; readonly bodies: BodyReader },
  tenant: TenantId,
  key: SessionKey,
  request: HistoryRequest,
): Promise<HistoryPage> {
  const { sessions, bodies } = deps;
  const { limit, offset, maxBytes } = request;
  const session = await sessions.get(tenant, key);
  if (session === null) return { session, messages: [], total: 0, nextOffset: null };
  const lastSeq = session.headSeq - offset;
  const firstSeq = Math.max(1, lastSeq - limit + 1);
  const { rows, segments, total } = await sessions.history(tenant, key, { limit, beforeSeq: lastSeq + 1 });
  const all = new Map<number, TranscriptRow>();
  for (const { object } of segments) {
    for (const row of await bodies.loadSegment(tenant, object)) {
      if (row.seq >= firstSeq && row.seq <= lastSeq) all.set(row.seq, row);
    }
  }
  for (const row of rows) all.set(row.seq, row);
  // A segment may begin before the last reset.
  const oldestShown = session.headSeq - total + 1;
  const newestFirst = [...all.values()]
    .filter((row) => row.seq >= oldestShown)
    .sort((a, b) => b.seq - a.seq)
    .slice(0, limit);

  const messages: { row: TranscriptRow; message: TranscriptMessage }[] = [];
  let bytes = 0;
  pages: for (let i = 0; i < newestFirst.length; i += LOADS_AT_ONCE) {
    const chunk = newestFirst.slice(i, i + LOADS_AT_ONCE);
    const loaded = await Promise.all(
      chunk.map((row) => bodies.load(tenant, row.body).catch(() => unavailableMessage(row))),
    );
    for (const [j, row] of chunk.entries()) {
      const message = loaded[j] as TranscriptMessage;
      bytes += JSON.stringify(message).length;
      if (bytes > maxBytes && messages.length > 0) break pages;
      messages.push({ row, message });
    }
  }
  const reached = offset + messages.length;
  return {
    session,
    messages: messages.toReversed(),
    total,
    nextOffset: reached < total ? reached : null,
  };
}
