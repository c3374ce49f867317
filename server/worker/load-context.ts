import {
  type ContextEntry,
  type ContextHistory,
  contextOfHistory,
  grown,
  NO_HISTORY,
} from "../core/compaction.ts";
import type { TenantId } from "../core/ids.ts";
import type { TranscriptMessage, TranscriptRow } from "../core/transcript.ts";
import type { Grant } from "../ports/run-ledger.ts";
import type { SessionStore } from "../ports/session-store.ts";
import type { BodyStore } from "../bodies/body-store.ts";
import type { ContextCache } from "./context-cache.ts";

export interface LoadContextDeps {
  readonly sessions: SessionStore;
  readonly bodies: BodyStore;
  readonly cache: ContextCache;
}

export interface LoadedContext {
  /** What stands before the user's message: since the newest compaction, with what others wrote during the run. */
  readonly history: ContextHistory;
  /** The user's message that the run answers. */
  readonly user: ContextEntry;
  /** What earlier attempts of this run stored, and what was steered in; empty on the first attempt. */
  readonly own: readonly ContextEntry[];
}

/** The whole context, oldest first. */
export const messagesOf = ({ history, user, own }: LoadedContext): TranscriptMessage[] => [
  ...contextOfHistory(history),
  user.message,
  ...own.map(({ message }) => message),
];

/** Bodies read from object storage at once, for one run. */
const PARALLEL_READS = 8;

/**
 * The context a grant starts from. Nothing is read for a session's first message, nor where the cache holds the
 * transcript up to the run's own user row; otherwise only what is missing, and never what a compaction has summarised.
 * @throws HAError STORE_UNAVAILABLE; NOT_FOUND or INTERNAL when a body is lost for good
 */
export async function loadContext(
  deps: LoadContextDeps,
  grant: Grant,
  signal: AbortSignal,
): Promise<LoadedContext> {
  const { tenant, sessionKey, userRow, headSeq, resetSeq } = grant;
  const cached = usable(deps.cache.get(tenant, sessionKey), grant);
  const known = cached?.history ?? NO_HISTORY;
  const knownSeq = cached?.headSeq ?? resetSeq;

  if (headSeq === userRow.seq && knownSeq === userRow.seq - 1) {
    return { history: known, user: await entryOf(deps.bodies, tenant, userRow, signal), own: [] };
  }

  const { rows, segments, fromSeq } = await deps.sessions.context(tenant, sessionKey, knownSeq);
  const sealed: TranscriptRow[] = [];
  for (const segment of segments) {
    if (segment.lastSeq < fromSeq) continue;
    sealed.push(...(await deps.bodies.loadSegment(tenant, segment.object, signal)));
  }
  // A row may be in both while it is being sealed; beyond the grant's head there is nothing of ours to see.
  const bySeq = new Map<number, TranscriptRow>();
  for (const row of [...sealed, ...rows])
    if (row.seq >= fromSeq && row.seq <= headSeq) bySeq.set(row.seq, row);
  const missing = [...bySeq.values()].sort((a, b) => a.seq - b.seq);
  // What others put in while the run was under way stands before it: the agent reads from the tail what is next, and
  // somebody else's row there would pass for the run's own answer.
  const isOwn = (row: TranscriptRow): boolean => row.runId === grant.runId && row.seq > userRow.seq;
  const isUsers = (row: TranscriptRow): boolean => row.seq === userRow.seq;
  const others = missing.filter((row) => !isOwn(row) && !isUsers(row));
  const own = await loadEntries(deps.bodies, tenant, missing.filter(isOwn), signal);
  // A reset during the run cut its own user row off: a later attempt still has to answer it.
  const user = await entryOf(deps.bodies, tenant, userRow, signal);
  const before = grown(known, await loadEntries(deps.bodies, tenant, others, signal));
  // A compaction that an earlier attempt of this run made cuts what stands before the run, and not the run.
  const { compaction, entries } = grown(before, own);
  const isBefore = new Set(before.entries);
  return { history: { compaction, entries: entries.filter((entry) => isBefore.has(entry)) }, user, own };
}

/** A cached context is a prefix of what the grant needs, or nothing. */
function usable(cached: ReturnType<ContextCache["get"]>, grant: Grant): typeof cached {
  if (cached === undefined) return undefined;
  const { sessionId, resetSeq, userRow } = grant;
  // Strictly before the run's own rows: which of them are its own is known only from the store.
  const isPrefix = cached.headSeq < userRow.seq && cached.headSeq >= resetSeq;
  return cached.sessionId === sessionId && cached.resetSeq === resetSeq && isPrefix ? cached : undefined;
}

const entryOf = async (
  bodies: BodyStore,
  tenant: TenantId,
  { seq, messageId, body }: TranscriptRow,
  signal: AbortSignal,
): Promise<ContextEntry> => ({ seq, messageId, message: await bodies.load(tenant, body, signal) });

/** Rows with their messages, in their order. @throws HAError as BodyReader.load */
export async function loadEntries(
  bodies: BodyStore,
  tenant: TenantId,
  rows: readonly TranscriptRow[],
  signal: AbortSignal,
): Promise<ContextEntry[]> {
  const entries: ContextEntry[] = [];
  for (let i = 0; i < rows.length; i += PARALLEL_READS) {
    const slice = rows.slice(i, i + PARALLEL_READS);
    entries.push(...(await Promise.all(slice.map((row) => entryOf(bodies, tenant, row, signal)))));
  }
  return entries;
}
