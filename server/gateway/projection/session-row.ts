import { type AgentCatalog, findAgent } from "../../core/catalog.ts";
import type { SessionKey } from "../../core/ids.ts";
import { isUnread, type SessionRecord } from "../../core/session.ts";
import { agentOfSessionKey } from "../../core/session-key.ts";
import { AGENT_RUNTIME, modelInUse, thinkingFields } from "./catalog.ts";
import { laneOfSession } from "../../core/lane.ts";

type Wire = Readonly<Record<string, unknown>>;

/** Whether the key is its agent's main session. */
export const isMainSession = (catalog: AgentCatalog, key: string): boolean =>
  /^agent:[^:]+:/.test(key) && key.slice(key.indexOf(":", 6) + 1) === catalog.mainKey;

/** What lists may leave out (`includeDerivedTitles`, `includeLastMessage`). */
export interface RowOptions {
  readonly derivedTitles?: boolean;
  readonly lastMessage?: boolean;
}

/** A session as lists, `sessions.describe`, history and `sessions.changed` show it. */
export function sessionRow(
  catalog: AgentCatalog,
  session: SessionRecord,
  now: number,
  options: RowOptions = {},
): Wire {
  const agent = findAgent(catalog, session.agentId);
  const { provider, model, spec } = modelInUse(catalog, agent, session);
  const active = session.activeRunId !== null;
  const { derivedTitles = true, lastMessage = true } = options;
  return {
    key: session.key,
    kind: "direct",
    chatType: "direct",
    classification: isMainSession(catalog, session.key) ? "main" : "direct",
    agentId: session.agentId,
    isMain: isMainSession(catalog, session.key),
    isBackground: laneOfSession(session.key) !== "main",
    visibility: "shared",
    sharingRole: "admin",
    sessionId: session.sessionId,
    createdAt: session.createdAt,
    createdVia: session.createdVia,
    ...(session.spawnedBy === null
      ? {}
      : {
          spawnedBy: session.spawnedBy,
          parentSessionKey: session.spawnedBy,
          spawnDepth: session.spawnDepth,
        }),
    updatedAt: session.updatedAt,
    lastInteractionAt: session.updatedAt,
    ...(session.label === null ? {} : { label: session.label, displayName: session.label }),
    ...(derivedTitles && session.derivedTitle !== null ? { derivedTitle: session.derivedTitle } : {}),
    ...(lastMessage && session.lastMessagePreview !== null
      ? { lastMessagePreview: session.lastMessagePreview }
      : {}),
    archived: session.archived,
    pinned: session.pinned,
    unread: isUnread(session),
    ...(session.markedUnreadAt === null ? {} : { markedUnreadAt: session.markedUnreadAt }),
    ...(active ? { status: "running" } : session.lastRunId === null ? {} : { status: "done" }),
    hasActiveRun: active,
    activeRunIds: active ? [session.activeRunId] : [],
    ...(session.lastRunId === null ? {} : { lastRunId: session.lastRunId }),
    messageCount: session.messageCount,
    inputTokens: session.inputTokens,
    outputTokens: session.outputTokens,
    ...(session.contextTokens === null ? {} : { totalTokens: session.contextTokens }),
    totalTokensFresh: session.contextTokens !== null,
    contextTokens: spec?.contextWindow ?? 0,
    modelProvider: provider,
    model,
    modelOverrideSource: session.model === null ? null : "user",
    ...thinkingFields(spec, agent?.thinkingLevel ?? null),
    ...(session.thinkingLevel === null ? {} : { thinkingLevel: session.thinkingLevel }),
    ...(session.verboseLevel === null ? {} : { verboseLevel: session.verboseLevel }),
    effectiveQueueMode: session.queueMode ?? catalog.queueMode,
    agentRuntime: { ...AGENT_RUNTIME, source: "implicit" },
    lifecycleRevision: String(session.lifecycleRevision),
    snapshotAt: now,
    placement: { state: "local", generation: 0 },
    participants: [],
    participantCount: 0,
  };
}

/** What history shows of a session that nobody has talked to: what it would run on, and nothing else. */
export function untouchedSessionRow(catalog: AgentCatalog, key: SessionKey, now: number): Wire {
  const agentId = agentOfSessionKey(key);
  const agent = findAgent(catalog, agentId);
  const { provider, model, spec } = modelInUse(catalog, agent, null);
  const isMain = isMainSession(catalog, key);
  return {
    key,
    kind: "direct",
    classification: isMain ? "main" : "direct",
    agentId,
    isMain,
    isBackground: false,
    updatedAt: null,
    archived: false,
    pinned: false,
    unread: false,
    hasActiveRun: false,
    activeRunIds: [],
    totalTokensFresh: false,
    contextTokens: spec?.contextWindow ?? 0,
    modelProvider: provider,
    model,
    modelOverrideSource: null,
    ...thinkingFields(spec, agent?.thinkingLevel ?? null),
    effectiveQueueMode: catalog.queueMode,
    agentRuntime: { ...AGENT_RUNTIME, source: "implicit" },
    snapshotAt: now,
    activeLeafEntryId: null,
  };
}

/** The `entry` of create, patch and reset. */
export const sessionEntry = (session: SessionRecord): Wire => ({
  sessionId: session.sessionId,
  lifecycleRevision: String(session.lifecycleRevision),
  updatedAt: session.updatedAt,
  createdAt: session.createdAt,
  createdVia: session.createdVia,
  chatType: "direct",
  delivery: { kind: "internal" },
  ...(session.label === null ? {} : { label: session.label }),
  ...(session.model === null ? {} : { modelOverride: session.model, modelOverrideSource: "user" }),
  ...(session.thinkingLevel === null ? {} : { thinkingLevel: session.thinkingLevel }),
  ...(session.verboseLevel === null ? {} : { verboseLevel: session.verboseLevel }),
  ...(session.queueMode === null ? {} : { queueMode: session.queueMode }),
  archived: session.archived,
  pinned: session.pinned,
  inputTokens: session.inputTokens,
  outputTokens: session.outputTokens,
  ...(session.contextTokens === null ? {} : { totalTokens: session.contextTokens }),
});

/** The `resolved` of create, patch and reset: what the session will run on. */
export function sessionResolved(catalog: AgentCatalog, session: SessionRecord): Wire {
  const { provider, model } = modelInUse(catalog, findAgent(catalog, session.agentId), session);
  return { modelProvider: provider, model, agentRuntime: { id: AGENT_RUNTIME.id, source: "implicit" } };
}
