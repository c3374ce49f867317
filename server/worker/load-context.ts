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
  /** The whole context up to the grant's head: what others wrote, the user's message, what earlier attempts have stored. */
  readonly messages: readonly TranscriptMessage[];
  /** Messages that earlier attempts of this run stored, and what was steered in; empty on the first attempt. */
  readonly ofThisRun: readonly TranscriptMessage[];
}

/** Bodies read from object storage at once, for one run. */
const PARALLEL_READS = 8;

/**
 * The context a grant starts from. Nothing is read for a session's first message, nor where the cache holds the
 * transcript up to the run's own user row; otherwise only what is missing.
 * @throws HAError STORE_UNAVAILABLE; NOT_FOUND or INTERNAL when a body is lost for good
 */
export async function loadContext(
  deps: LoadContextDeps,
  grant: Grant,
  signal: AbortSignal,
): Promise<LoadedContext> {
  const { tenant, sessionKey, userRow, headSeq, resetSeq } = grant;
  const cached = usable(deps.cache.get(tenant, sessionKey), grant);
  const known = cached?.messages ?? [];
  const knownSeq = cached?.headSeq ?? resetSeq;

  if (headSeq === userRow.seq && knownSeq === userRow.seq - 1) {
    const user = await deps.bodies.load(tenant, userRow.body, signal);
    return { messages: [...known, user], ofThisRun: [] };
  }

  const { rows, segments } = await deps.sessions.context(tenant, sessionKey, knownSeq);
  const sealed: TranscriptRow[] = [];
  for (const segment of segments) {
    if (segment.lastSeq <= knownSeq) continue;
    for (const row of await deps.bodies.loadSegment(tenant, segment.object, signal)) {
      if (row.seq > knownSeq) sealed.push(row);
    }
  }
  // A row may be in both while it is being sealed; beyond the grant's head there is nothing of ours to see.
  const bySeq = new Map<number, TranscriptRow>();
  for (const row of [...sealed, ...rows])
    if (row.seq > resetSeq && row.seq <= headSeq) bySeq.set(row.seq, row);
  const missing = [...bySeq.values()].sort((a, b) => a.seq - b.seq);
  // What others put in while the run was under way stands before it: the agent reads from the tail what is next, and
  // somebody else's row there would pass for the run's own answer.
  const isOwn = (row: TranscriptRow): boolean => row.runId === grant.runId && row.seq > userRow.seq;
  const isUsers = (row: TranscriptRow): boolean => row.seq === userRow.seq;
  const others = missing.filter((row) => !isOwn(row) && !isUsers(row));
  const ofThisRun = await loadBodies(deps.bodies, tenant, missing.filter(isOwn), signal);
  // A reset during the run cut its own user row off: a later attempt still has to answer it.
  const user = await deps.bodies.load(tenant, userRow.body, signal);
  const messages = [...known, ...(await loadBodies(deps.bodies, tenant, others, signal)), user, ...ofThisRun];
  return { messages, ofThisRun };
}

/** A cached context is a prefix of what the grant needs, or nothing. */
function usable(cached: ReturnType<ContextCache["get"]>, grant: Grant): typeof cached {
  if (cached === undefined) return undefined;
  const { sessionId, resetSeq, userRow } = grant;
  // Strictly before the run's own rows: which of them are its own is known only from the store.
  const isPrefix = cached.headSeq < userRow.seq && cached.headSeq >= resetSeq;
  return cached.sessionId === sessionId && cached.resetSeq === resetSeq && isPrefix ? cached : undefined;
}

/** The messages of rows, in their order. @throws HAError as BodyReader.load */
export async function loadBodies(
  bodies: BodyStore,
  tenant: TenantId,
  rows: readonly TranscriptRow[],
  signal: AbortSignal,
): Promise<TranscriptMessage[]> {
  const messages: TranscriptMessage[] = [];
  for (let i = 0; i < rows.length; i += PARALLEL_READS) {
    const slice = rows.slice(i, i + PARALLEL_READS);
    messages.push(...(await Promise.all(slice.map((row) => bodies.load(tenant, row.body, signal)))));
  }
  return messages;
}
