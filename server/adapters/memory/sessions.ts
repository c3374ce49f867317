import type { SessionPatch, SessionRecord } from "../../core/session.ts";
import type { MemoryStoreState, StoredSession, StoredTenant } from "./state.ts";
import { headSeq } from "./transcript.ts";

/** Adds a session without a row and without a run to its tenant. */
export function addSession(
  state: MemoryStoreState,
  tenant: StoredTenant,
  identity: Pick<StoredSession, "key" | "agentId" | "sessionId" | "createdVia">,
): StoredSession {
  const baseSeq = tenant.endedSeqs.get(identity.key) ?? 0;
  const session: StoredSession = {
    ...identity,
    tenant: tenant.id,
    spawnedBy: null,
    spawnDepth: 0,
    baseSeq,
    createdAt: state.now(),
    updatedAt: state.now(),
    lifecycleRevision: 1,
    resetSeq: baseSeq,
    label: null,
    model: null,
    thinkingLevel: null,
    verboseLevel: null,
    queueMode: null,
    archived: false,
    pinned: false,
    readSeq: 0,
    markedUnreadAt: null,
    inputTokens: 0,
    outputTokens: 0,
    contextTokens: null,
    lastMessagePreview: null,
    derivedTitle: null,
    lastRunId: null,
    rows: [],
    rowsById: new Map(),
    segments: [],
    queue: [],
    lease: null,
    token: 0,
    ready: null,
  };
  tenant.sessions.set(session.key, session);
  return session;
}

/** Absent fields stay, `null` clears. */
export function patchSession(state: MemoryStoreState, session: StoredSession, patch: SessionPatch): void {
  const { unread, expectedMarkedUnreadAt, ...shown } = patch;
  if (expectedMarkedUnreadAt !== undefined && expectedMarkedUnreadAt !== session.markedUnreadAt) return;
  if (Object.values(shown).some((value) => value !== undefined)) session.updatedAt = state.now();
  if (patch.label !== undefined) session.label = patch.label;
  if (patch.model !== undefined) session.model = patch.model;
  if (patch.thinkingLevel !== undefined) session.thinkingLevel = patch.thinkingLevel;
  if (patch.verboseLevel !== undefined) session.verboseLevel = patch.verboseLevel;
  if (patch.queueMode !== undefined) session.queueMode = patch.queueMode;
  if (patch.archived !== undefined) session.archived = patch.archived;
  if (patch.pinned !== undefined) session.pinned = patch.pinned;
  if (unread === false) session.readSeq = headSeq(session);
  if (unread === false) session.markedUnreadAt = null;
  if (unread === true) session.markedUnreadAt = Math.max(state.now(), (session.markedUnreadAt ?? 0) + 1);
}

/** A copy that later changes do not reach. */
export const sessionRecord = (session: StoredSession): SessionRecord => ({
  tenant: session.tenant,
  key: session.key,
  sessionId: session.sessionId,
  agentId: session.agentId,
  createdAt: session.createdAt,
  updatedAt: session.updatedAt,
  createdVia: session.createdVia,
  spawnedBy: session.spawnedBy,
  spawnDepth: session.spawnDepth,
  lifecycleRevision: session.lifecycleRevision,
  headSeq: headSeq(session),
  headMessageId: session.rows.at(-1)?.messageId ?? null,
  resetSeq: session.resetSeq,
  messageCount: headSeq(session) - session.resetSeq,
  label: session.label,
  model: session.model,
  thinkingLevel: session.thinkingLevel,
  verboseLevel: session.verboseLevel,
  queueMode: session.queueMode,
  archived: session.archived,
  pinned: session.pinned,
  readSeq: session.readSeq,
  markedUnreadAt: session.markedUnreadAt,
  inputTokens: session.inputTokens,
  outputTokens: session.outputTokens,
  contextTokens: session.contextTokens,
  lastMessagePreview: session.lastMessagePreview,
  derivedTitle: session.derivedTitle,
  activeRunId: (session.lease?.run ?? session.queue[0])?.runId ?? null,
  lastRunId: session.lastRunId,
});
