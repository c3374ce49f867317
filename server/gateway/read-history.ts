import type { SessionKey, TenantId } from "../core/ids.ts";
import type { SessionRecord } from "../core/session.ts";
import type { TranscriptMessage, TranscriptRow } from "../core/transcript.ts";
import type { SessionStore } from "../ports/session-store.ts";
import type { BodyReader } from "./bodies.ts";
import { unavailableMessage } from "./projection/transcript-row.ts";

/** A row with its message, wherever that lay. */
export interface HistoryMessage {
  readonly row: TranscriptRow;
  readonly message: TranscriptMessage;
}

export interface HistoryPage {
  readonly session: SessionRecord | null;
  /** Oldest first. */
  readonly messages: readonly HistoryMessage[];
  /** Newest rows that were left out. */
  readonly offset: number;
  /** All rows since the last reset. */
  readonly total: number;
  /** Offset of the page before this one, or null where this one reaches the beginning. */
  readonly nextOffset: number | null;
}

export interface HistoryRequest {
  readonly limit: number;
  /** How many of the newest rows to leave out. */
  readonly offset: number;
  /** Instead of an offset: the page has this message in its middle, and is empty where there is none. */
  readonly aroundMessage?: string | undefined;
  /** Bytes of JSON at most; older rows are left to the next page, but one row is always given. */
  readonly maxBytes: number;
  /** The session where the caller has read it already: the page ends at its head. */
  readonly session?: SessionRecord;
}

interface HistoryDeps {
  readonly sessions: SessionStore;
  readonly bodies: BodyReader;
}

/** Bodies fetched from object storage at once. */
const LOADS_AT_ONCE = 16;

/**
 * A page of a session's transcript, counted from its end: the hot tail from the store, older rows from their sealed
 * segments, large bodies from object storage. A single body that cannot be had is shown as such.
 * @throws HAError STORE_UNAVAILABLE when a whole segment cannot be read now
 */
export async function readHistory(
  deps: HistoryDeps,
  tenant: TenantId,
  key: SessionKey,
  request: HistoryRequest,
): Promise<HistoryPage> {
  const { sessions } = deps;
  const { limit, aroundMessage, maxBytes } = request;
  const session = request.session ?? (await sessions.get(tenant, key));
  const nothing = { session, messages: [], offset: request.offset, total: 0, nextOffset: null };
  if (session === null) return nothing;
  let { offset } = request;
  if (aroundMessage !== undefined) {
    const seq = await sessions.seqOf(tenant, key, aroundMessage);
    if (seq === null || seq <= session.resetSeq) return nothing;
    offset = Math.max(0, session.headSeq - seq - Math.floor(limit / 2));
  }
  const lastSeq = session.headSeq - offset;
  const { rows, total } = await readRows(deps, tenant, key, { limit, lastSeq, includeReset: false });
  const messages = await loadNewest(deps, tenant, rows, maxBytes);
  const reached = offset + messages.length;
  return { session, messages, offset, total, nextOffset: reached < total ? reached : null };
}

/** One message of a session, also from before its last reset; null where there is none with this id. */
export async function readMessage(
  deps: HistoryDeps,
  tenant: TenantId,
  key: SessionKey,
  messageId: string,
): Promise<HistoryMessage | null> {
  const lastSeq = await deps.sessions.seqOf(tenant, key, messageId);
  if (lastSeq === null) return null;
  const { rows } = await readRows(deps, tenant, key, { limit: 1, lastSeq, includeReset: true });
  const [found] = await loadNewest(deps, tenant, rows, Number.POSITIVE_INFINITY);
  return found?.row.messageId === messageId ? found : null;
}

/** The rows up to `lastSeq`, newest first, from wherever they lie. */
async function readRows(
  { sessions, bodies }: HistoryDeps,
  tenant: TenantId,
  key: SessionKey,
  range: { readonly limit: number; readonly lastSeq: number; readonly includeReset: boolean },
): Promise<{ rows: TranscriptRow[]; total: number }> {
  const { limit, lastSeq, includeReset } = range;
  const found = await sessions.history(tenant, key, { limit, beforeSeq: lastSeq + 1, includeReset });
  const all = new Map<number, TranscriptRow>();
  for (const { object } of found.segments) {
    for (const row of await bodies.loadSegment(tenant, object)) all.set(row.seq, row);
  }
  for (const row of found.rows) all.set(row.seq, row);
  // A segment reaches over both ends of a page, and over a reset.
  const firstSeq = Math.max(lastSeq - limit, found.fromSeq) + 1;
  const rows = [...all.values()].filter(({ seq }) => seq >= firstSeq && seq <= lastSeq);
  return { rows: rows.sort((a, b) => b.seq - a.seq), total: found.total };
}

/** Messages of rows that come newest first, as many as fit; oldest first. */
async function loadNewest(
  { bodies }: HistoryDeps,
  tenant: TenantId,
  newestFirst: readonly TranscriptRow[],
  maxBytes: number,
): Promise<HistoryMessage[]> {
  const messages: HistoryMessage[] = [];
  let bytes = 0;
  for (let i = 0; i < newestFirst.length; i += LOADS_AT_ONCE) {
    const chunk = newestFirst.slice(i, i + LOADS_AT_ONCE);
    const loaded = await Promise.all(
      chunk.map((row) => bodies.load(tenant, row.body).catch(() => unavailableMessage(row))),
    );
    for (const [j, row] of chunk.entries()) {
      const message = loaded[j] as TranscriptMessage;
      bytes += JSON.stringify(message).length;
      if (bytes > maxBytes && messages.length > 0) return messages.toReversed();
      messages.push({ row, message });
    }
  }
  return messages.toReversed();
}
