import type { AgentId, SessionKey, TenantId } from "../core/ids.ts";
import type { PatchExpectations, SessionPatch, SessionRecord } from "../core/session.ts";
import type { NewMessage, ObjectRef, TranscriptMessage, TranscriptRow } from "../core/transcript.ts";

export interface SessionQuery {
  readonly limit: number;
  readonly offset?: number;
  readonly agentId?: AgentId;
  /** Only sessions of one of these agents. */
  readonly agentIds?: readonly AgentId[];
  /** Only sessions updated within this many milliseconds. */
  readonly activeWithinMs?: number;
  /** Part of key, label or derived title, in any case. */
  readonly search?: string;
  readonly sessionId?: string;
  /** The whole label, as it is. */
  readonly label?: string;
  readonly archived?: boolean;
  readonly pinned?: boolean;
  /** Only sessions with a run that has not ended. */
  readonly activeOnly?: boolean;
  readonly excludeSubagents?: boolean;
  readonly excludeCron?: boolean;
  /** Only subagents that runs of this session have spawned. */
  readonly spawnedBy?: SessionKey;
  /** Only sessions updated before this one in the list's order (exclusive), for paging without offset. */
  readonly before?: SessionKey;
}

/** A list is counted so far at least. */
export const SESSIONS_COUNTED = 2_000;

export interface HistoryQuery {
  readonly limit: number;
  /** Only rows with a smaller seq: pages go back in time. */
  readonly beforeSeq?: number;
  /** Also rows from before the last reset. */
  readonly includeReset?: boolean;
}

/** A run of transcript rows that lies in one object as JSON lines. */
export interface Segment {
  readonly firstSeq: number;
  readonly lastSeq: number;
  readonly object: ObjectRef;
}

/** Rows that may be moved to object storage: the oldest of a session's hot tail. */
export interface SealCandidate {
  readonly tenant: TenantId;
  readonly sessionKey: SessionKey;
  readonly rows: readonly TranscriptRow[];
}

/** A body above INLINE_BODY_MAX_BYTES that lies in its row, because object storage was away when it was written. */
export interface LargeBody {
  readonly tenant: TenantId;
  readonly sessionKey: SessionKey;
  readonly seq: number;
  readonly message: TranscriptMessage;
}

/**
 * Sessions and their transcripts. Rows are only ever appended, by the ledger's fenced statements or by `append`;
 * a session's history is `segments + tail`.
 *
 * Every method is of one tenant, and the adapter makes the store enforce it (row-level security in Postgres).
 * @throws HAError STORE_UNAVAILABLE from every method
 */
export interface SessionStore {
  get(tenant: TenantId, key: SessionKey): Promise<SessionRecord | null>;
  /**
   * Most recently updated first. `total` says how many match, whatever page is asked for; above SESSIONS_COUNTED it may
   * be a smaller number, but one larger than what the pages up to this one show where there is more.
   */
  list(tenant: TenantId, query: SessionQuery): Promise<{ sessions: SessionRecord[]; total: number }>;
  /** Sessions whose keys begin so, in the order of their keys, archived ones as well: a range, not a search. */
  withPrefix(tenant: TenantId, prefix: string, limit: number): Promise<SessionRecord[]>;
  /**
   * Idempotent by key: an existing session is answered unchanged, with `created: false`.
   * @throws HAError REQUEST_INVALID (patchRefused) for a label that another session of the agent has; nothing is created
   */
  create(
    tenant: TenantId,
    session: {
      readonly key: SessionKey;
      readonly agentId: AgentId;
      readonly sessionId: string;
      readonly createdVia: string;
    } & SessionPatch,
  ): Promise<{ session: SessionRecord; created: boolean }>;
  /**
   * Null where there is no such session. What is archived is pinned no longer.
   * @throws HAError REQUEST_INVALID (patchRefused) where the session is not as expected, is to be pinned and archived, or
   * is to get a label that another session of its agent has. Decided by the write itself: of two that want one label at
   * once, one has it.
   */
  patch(
    tenant: TenantId,
    key: SessionKey,
    patch: SessionPatch & PatchExpectations,
  ): Promise<SessionRecord | null>;
  /**
   * Starts a new history: the sessionId stays, lifecycleRevision grows, and the first row above the new `resetSeq` is a
   * `system` row of kind `reset`. Null where there is no such session. What was asked for under the same `requestId`
   * before is not done again.
   */
  reset(tenant: TenantId, key: SessionKey, reason: string, requestId?: string): Promise<SessionRecord | null>;
  /**
   * Deletes session and transcript; open runs end as aborted and their holder is fenced. Idempotency records stay, and
   * in a later session of the key tokens and seqs go on from here, so that nothing late fits it.
   */
  delete(tenant: TenantId, key: SessionKey): Promise<{ deleted: boolean }>;
  /**
   * Appends a row outside a run (`chat.inject`). One appended before with the same messageId is answered, not doubled.
   * Null where there is no such session.
   */
  append(tenant: TenantId, key: SessionKey, message: NewMessage): Promise<TranscriptRow | null>;
  /**
   * The newest rows since the last reset, oldest first. Bodies are inline, or references the caller resolves. `fromSeq`
   * is the last row that does not count (the reset's, or that of an earlier session), whatever a segment holds.
   */
  history(
    tenant: TenantId,
    key: SessionKey,
    query: HistoryQuery,
  ): Promise<{ rows: TranscriptRow[]; segments: Segment[]; total: number; fromSeq: number }>;
  /** Where the row with this id stands in the session, before or after its last reset; null where there is none. */
  seqOf(tenant: TenantId, key: SessionKey, messageId: string): Promise<number | null>;
  /**
   * What a worker needs to build its context: rows from `fromSeq` on, which is behind `afterSeq` and the last reset, and
   * not before the first row that the newest compaction kept. What a compaction has summarised is not looked at.
   */
  context(
    tenant: TenantId,
    key: SessionKey,
    afterSeq: number,
  ): Promise<{ rows: TranscriptRow[]; segments: Segment[]; fromSeq: number }>;
  /** Records objects that rows are about to refer to, so that what deletes a tenant or what nobody needs knows of them. */
  noteObjects(tenant: TenantId, kind: "attachment", objects: readonly ObjectRef[]): Promise<void>;
  /**
   * Sessions whose hot tail is larger than `tailRows`, with the rows to move: all but the newer half of `tailRows`, so
   * that a segment is worth its object. At most `limit` sessions, and of a tail
   * that is very long or large only the beginning: what is answered fits into memory.
   */
  sealCandidates(tailRows: number, limit: number): Promise<SealCandidate[]>;
  /** Records that rows firstSeq..lastSeq lie in the object, and empties them. Repeating it does nothing. */
  seal(tenant: TenantId, key: SessionKey, segment: Segment): Promise<void>;
  /** Bodies to move, of any tenant: at most `limit`, and of very large ones only as many as fit into memory. */
  largeBodies(limit: number): Promise<LargeBody[]>;
  /**
   * Records that the body of a row lies in the object, and with it the run's input where it is the same. Repeating it
   * does nothing, nor does it where the row has been sealed or deleted.
   */
  moveBody(tenant: TenantId, key: SessionKey, seq: number, object: ObjectRef): Promise<void>;
  close(): Promise<void>;
}
