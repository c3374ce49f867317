import { checkNewSession } from "./limits.ts";
import { firstKeptSeqOf } from "../../core/compaction.ts";
import type { AgentId, RunId, SessionKey, TenantId } from "../../core/ids.ts";
import { laneOfSession } from "../../core/lane.ts";
import { patchRefused } from "../../core/session.ts";
import { exceedsInline, resetMessage, resetMessageId, type TranscriptRow } from "../../core/transcript.ts";
import type {
  LargeBody,
  SealCandidate,
  Segment,
  SessionQuery,
  SessionStore,
} from "../../ports/session-store.ts";
import { abortAllRuns } from "./runs.ts";
import { addSession, patchSession, sessionRecord } from "./sessions.ts";
import {
  findRun,
  findSession,
  type MemoryStoreState,
  type StoredRow,
  type StoredSession,
  tenantOf,
} from "./state.ts";
import { appendMessage, headSeq } from "./transcript.ts";

/** Sessions and transcripts in memory; give it the state that the ledger has. */
export function memorySessionStore(state: MemoryStoreState): SessionStore {
  return {
    get: async (tenant, key) => {
      const session = findSession(state, tenant, key);
      return session ? sessionRecord(session) : null;
    },

    list: async (tenant, query) => {
      const { sessions, total } = listSessions(state, tenant, query);
      return { sessions: sessions.map(sessionRecord), total };
    },

    withPrefix: async (tenant, prefix, limit) =>
      [...(state.tenants.get(tenant)?.sessions.values() ?? [])]
        .filter(({ key }) => key.startsWith(prefix))
        .sort((a, b) => (a.key < b.key ? -1 : 1))
        .slice(0, limit)
        .map(sessionRecord),

    create: async (tenantId, { key, agentId, sessionId, createdVia, ...patch }) => {
      const tenant = tenantOf(state, tenantId);
      const known = tenant.sessions.get(key);
      if (known) return { session: sessionRecord(known), created: false };
      if (labelTaken(state, tenantId, agentId, key, patch.label))
        throw patchRefused("label-taken", key, patch);
      checkNewSession(state, tenant, key);
      const session = addSession(state, tenant, { key, agentId, sessionId, createdVia });
      patchSession(state, session, patch);
      return { session: sessionRecord(session), created: true };
    },

    patch: async (tenant, key, patch) => {
      const session = findSession(state, tenant, key);
      if (!session) return null;
      const { expectedSessionId, expectedLifecycleRevision, ...changes } = patch;
      if (
        (expectedSessionId !== undefined && expectedSessionId !== session.sessionId) ||
        (expectedLifecycleRevision !== undefined &&
          expectedLifecycleRevision !== String(session.lifecycleRevision))
      ) {
        throw patchRefused("session-changed", key, patch);
      }
      if (labelTaken(state, tenant, session.agentId, key, patch.label))
        throw patchRefused("label-taken", key, patch);
      if (patch.pinned && (patch.archived ?? session.archived)) throw patchRefused("archived", key, patch);
      patchSession(state, session, { ...changes, ...(patch.archived ? { pinned: false } : {}) });
      return sessionRecord(session);
    },

    reset: async (tenant, key, reason, requestId) => {
      const session = findSession(state, tenant, key);
      if (!session) return null;
      const messageId = requestId === undefined ? undefined : resetMessageId(requestId);
      if (messageId !== undefined && session.rowsById.has(messageId)) return sessionRecord(session);
      resetSession(state, session, reason, messageId);
      return sessionRecord(session);
    },

    delete: async (tenant, key) => {
      const session = findSession(state, tenant, key);
      if (!session) return { deleted: false };
      abortAllRuns(state, session);
      const { sessions, endedSeqs } = tenantOf(state, tenant);
      sessions.delete(key);
      endedSeqs.set(key, headSeq(session));
      return { deleted: true };
    },

    append: async (tenant, key, message) => {
      const session = findSession(state, tenant, key);
      if (!session) return null;
      const { row, added } = appendMessage(state, session, message, null);
      if (added) session.updatedAt = row.createdAt;
      return row;
    },

    history: async (tenant, key, { limit, beforeSeq, includeReset = false }) => {
      const session = findSession(state, tenant, key);
      if (!session) return { rows: [], segments: [], total: 0, fromSeq: 0 };
      const fromSeq = includeReset ? session.baseSeq : session.resetSeq;
      const first = fromSeq + 1;
      const last = Math.min(headSeq(session), (beforeSeq ?? Infinity) - 1);
      const total = headSeq(session) - first + 1;
      return { ...slice(session, Math.max(first, last - limit + 1), last), total, fromSeq };
    },

    seqOf: async (tenant, key, messageId) =>
      findSession(state, tenant, key)?.rowsById.get(messageId)?.seq ?? null,

    context: async (tenant, key, afterSeq) => {
      const session = findSession(state, tenant, key);
      if (!session) return { rows: [], segments: [], fromSeq: afterSeq + 1 };
      const newest = session.rows.findLast(
        ({ seq, messageId }) => seq > session.resetSeq && firstKeptSeqOf(messageId) !== null,
      );
      const firstKept = newest === undefined ? null : firstKeptSeqOf(newest.messageId);
      const fromSeq = Math.max(session.resetSeq + 1, afterSeq + 1, firstKept ?? 0);
      return { ...slice(session, fromSeq, headSeq(session)), fromSeq };
    },

    noteObjects: async () => {}, // nothing here outlives the process

    sealCandidates: async (tailRows, limit) => {
      const candidates: SealCandidate[] = [];
      for (const { sessions } of state.tenants.values()) {
        for (const session of sessions.values()) {
          if (candidates.length >= limit) return candidates;
          const candidate = sealCandidate(session, tailRows);
          if (candidate) candidates.push(candidate);
        }
      }
      return candidates;
    },

    seal: async (tenant, key, segment) => {
      const session = findSession(state, tenant, key);
      if (!session || segment.firstSeq !== sealedSeq(session) + 1 || segment.lastSeq > headSeq(session))
        return;
      session.segments.push(segment);
      for (const row of rowsBetween(session, segment.firstSeq, segment.lastSeq)) row.body = null;
    },

    largeBodies: async (limit) => {
      const found: LargeBody[] = [];
      for (const { id: tenant, sessions } of state.tenants.values()) {
        for (const { key: sessionKey, rows } of sessions.values()) {
          for (const { seq, body } of rows) {
            if (found.length >= limit) return found;
            if (body === null || !("inline" in body) || !exceedsInline(JSON.stringify(body.inline))) continue;
            found.push({ tenant, sessionKey, seq, message: body.inline });
          }
        }
      }
      return found;
    },

    moveBody: async (tenant, key, seq, object) => {
      const session = findSession(state, tenant, key);
      const [row] = session ? rowsBetween(session, seq, seq) : [];
      if (!row?.body || !("inline" in row.body)) return;
      row.body = { object };
      // A steered message's row belongs to the run that it joined; its own run has the input.
      const asked = row.idempotencyKey?.endsWith(":user") ? row.idempotencyKey.slice(0, -5) : row.runId;
      const run = asked && findRun(state, tenant, asked as RunId);
      if (run && run.userMessageId === row.messageId) run.input = { ...run.input, body: { object } };
    },

    close: async () => {},
  };
}

function listSessions(
  state: MemoryStoreState,
  tenant: TenantId,
  query: SessionQuery,
): { sessions: StoredSession[]; total: number } {
  const { agentId, agentIds, sessionId, activeWithinMs, search, label, archived, pinned, spawnedBy } = query;
  const { limit, offset = 0, before } = query;
  const words = search?.toLowerCase();
  const matching = Array.from(state.tenants.get(tenant)?.sessions.values() ?? [])
    .filter((session) => agentId === undefined || session.agentId === agentId)
    .filter((session) => agentIds === undefined || agentIds.includes(session.agentId))
    .filter((session) => sessionId === undefined || session.sessionId === sessionId)
    .filter((session) => label === undefined || session.label === label)
    .filter((session) => archived === undefined || session.archived === archived)
    .filter((session) => pinned === undefined || session.pinned === pinned)
    .filter((session) => query.activeOnly !== true || session.queue.length > 0 || session.lease?.run != null)
    .filter((session) => query.excludeSubagents !== true || laneOfSession(session.key) !== "subagent")
    .filter((session) => query.excludeCron !== true || laneOfSession(session.key) !== "cron")
    .filter((session) => spawnedBy === undefined || session.spawnedBy === spawnedBy)
    .filter((session) => activeWithinMs === undefined || state.now() - session.updatedAt <= activeWithinMs)
    .filter((session) => words === undefined || searchText(session).includes(words))
    .sort((a, b) => b.updatedAt - a.updatedAt || (a.key > b.key ? -1 : 1));
  const start = startOfPage(matching, before) + offset;
  return { sessions: matching.slice(start, start + limit), total: matching.length };
}

/** Whether another session of the agent has the label. */
const labelTaken = (
  state: MemoryStoreState,
  tenant: TenantId,
  agentId: AgentId,
  key: SessionKey,
  label: string | null | undefined,
): boolean =>
  label != null &&
  Array.from(state.tenants.get(tenant)?.sessions.values() ?? []).some(
    (other) => other.label === label && other.agentId === agentId && other.key !== key,
  );

/** After the session named; where it is unknown there is nothing after it. */
function startOfPage(sessions: readonly StoredSession[], before: SessionKey | undefined): number {
  if (before === undefined) return 0;
  const place = sessions.findIndex((session) => session.key === before);
  return place === -1 ? sessions.length : place + 1;
}

const searchText = ({ key, label, derivedTitle }: StoredSession): string =>
  `${key}\n${label ?? ""}\n${derivedTitle ?? ""}`.toLowerCase();

/** Starts a new history: what was said before is not part of the context any more. */
export function resetSession(
  state: MemoryStoreState,
  session: StoredSession,
  reason: string,
  messageId = `reset:${session.sessionId}:${session.lifecycleRevision}`,
): void {
  session.lifecycleRevision++;
  session.resetSeq = headSeq(session);
  appendMessage(state, session, { messageId, body: { inline: resetMessage(reason, state.now()) } }, null);
  session.updatedAt = state.now();
  session.derivedTitle = null;
  session.lastMessagePreview = null;
}

/** Rows first..last that are still in the tail, and the segments that hold the others. */
function slice(
  session: StoredSession,
  first: number,
  last: number,
): { rows: TranscriptRow[]; segments: Segment[] } {
  return {
    rows: rowsBetween(session, first, last).flatMap(hotRow),
    segments: session.segments.filter((one) => one.firstSeq <= last && one.lastSeq >= first),
  };
}

const rowsBetween = ({ rows, baseSeq }: StoredSession, first: number, last: number): StoredRow[] =>
  rows.slice(first - baseSeq - 1, Math.max(0, last - baseSeq));

const hotRow = (row: StoredRow): TranscriptRow[] => (row.body ? [{ ...row, body: row.body }] : []);

/** Highest seq that lies in a segment. */
const sealedSeq = ({ segments, baseSeq }: StoredSession): number => segments.at(-1)?.lastSeq ?? baseSeq;

/**
 * Once the tail has outgrown `tailRows`, all but its newer half is moved: in batches worth an object, not row by row.
 */
function sealCandidate(session: StoredSession, tailRows: number): SealCandidate | null {
  const tail = rowsBetween(session, sealedSeq(session) + 1, headSeq(session));
  if (tail.length <= tailRows) return null;
  const keep = Math.ceil(tailRows / 2);
  return {
    tenant: session.tenant,
    sessionKey: session.key,
    rows: tail.slice(0, tail.length - keep).flatMap(hotRow),
  };
}
