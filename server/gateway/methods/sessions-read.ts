import { z } from "zod";
import { findAgent } from "../../core/catalog.ts";
import type { SessionKey } from "../../core/ids.ts";
import type { SessionRecord } from "../../core/session.ts";
import { agentOfSessionKey } from "../../core/session-key.ts";
import { messageText } from "../../core/transcript.ts";
import type { SessionQuery } from "../../ports/session-store.ts";
import { resolveSession } from "../accept-run.ts";
import { defaultsOf } from "../projection/catalog.ts";
import { sessionRow } from "../projection/session-row.ts";
import { wireMessage } from "../projection/transcript-row.ts";
import { count, labelText, sessionKeyText, text } from "../protocol/params.ts";
import { readHistory } from "../read-history.ts";
import { resolveAgent } from "./params.ts";
import { type Call, method, type Method } from "./registry.ts";

const LIST_LIMIT = 100;
const LIST_LIMIT_MAX = 1_000;
const PREVIEW_KEYS_MAX = 64;
const PREVIEW_ITEMS = 12;
const PREVIEW_CHARACTERS = 500;

export const keyParam = z.object({ key: sessionKeyText, agentId: z.string().optional() });

const listParams = z.object({
  limit: z.int().min(1).optional(),
  offset: count.optional(),
  agentId: z.string().optional(),
  activeMinutes: z.int().min(1).optional(),
  activeOnly: z.boolean().optional(),
  search: z.string().max(512).optional(),
  label: labelText.optional(),
  spawnedBy: sessionKeyText.optional(),
  archived: z.union([z.boolean(), z.literal("all")]).optional(),
  pinned: z.boolean().optional(),
  excludeSubagents: z.boolean().optional(),
  excludeCron: z.boolean().optional(),
  configuredAgentsOnly: z.boolean().optional(),
  sortBy: z.enum(["updatedAt", "lastInteractionAt", "activity"]).optional(),
  includeDerivedTitles: z.boolean().optional(),
  includeLastMessage: z.boolean().optional(),
  // What no session of a pool has: asked for, nothing is found. An empty group means sessions without one.
  group: z.string().max(512).optional(),
  projectId: text.optional(),
  workspaceDir: text.optional(),
  boardFace: z.enum(["chat", "dashboard"]).optional(),
  hasBoard: z.boolean().optional(),
  creatorId: text.optional(),
  ownerId: text.optional(),
  profileRelation: z.looseObject({}).optional(),
  involvingProfileId: text.optional(),
});
type ListParams = z.infer<typeof listParams>;

/** Whether a list is narrowed by something that no session of a pool has: projects, boards, groups, people. */
const asksForAbsent = (params: ListParams): boolean =>
  [
    params.projectId,
    params.workspaceDir,
    params.boardFace,
    params.creatorId,
    params.ownerId,
    params.profileRelation,
    params.involvingProfileId,
  ].some((one) => one !== undefined) ||
  params.hasBoard === true ||
  (params.group ?? "") !== "";

/** Lists and looks; nothing here changes a session. */
export const sessionReadMethods: readonly Method[] = [
  method({
    name: "sessions.list",
    scope: "operator.read",
    params: listParams,
    handle: listSessions,
  }),
  method({
    name: "sessions.subscribe",
    scope: "operator.read",
    // With list params it answers the list as well, so that nothing falls between the two.
    params: listParams,
    async handle(call, params) {
      call.hub.audience.sessionWatchers.add(call.connection);
      if (params.limit === undefined) return { subscribed: true };
      return { subscribed: true, list: await listSessions(call, params) };
    },
  }),
  method({
    name: "sessions.messages.subscribe",
    scope: "operator.read",
    params: keyParam,
    handle({ gateway, connection, hub }, params) {
      const key = resolveSession(gateway.catalog, params.key, params.agentId);
      connection.subscriptions.add(key);
      hub.subscribed(connection, key);
      return { subscribed: true, key };
    },
  }),
  method({
    name: "sessions.messages.unsubscribe",
    scope: "operator.read",
    params: keyParam,
    handle({ gateway, connection, hub }, params) {
      const key = resolveSession(gateway.catalog, params.key, params.agentId);
      connection.subscriptions.delete(key);
      hub.audience.unsubscribe(connection, key);
      return { subscribed: false, key };
    },
  }),
  method({
    name: "sessions.describe",
    scope: "operator.read",
    params: keyParam,
    async handle({ gateway, tenant }, params) {
      const key = resolveSession(gateway.catalog, params.key, params.agentId);
      const session = await gateway.sessions.get(tenant, key);
      return { session: session && sessionRow(gateway.catalog, session, gateway.clock.now()) };
    },
  }),
  method({
    name: "sessions.get",
    scope: "operator.read",
    params: keyParam.extend({ limit: z.int().min(1).max(LIST_LIMIT_MAX).optional() }),
    async handle({ gateway, tenant }, params) {
      const key = resolveSession(gateway.catalog, params.key, params.agentId);
      const { messages } = await readHistory(gateway, tenant, key, {
        limit: params.limit ?? 200,
        offset: 0,
        maxBytes: gateway.limits.historyBytes,
      });
      return { messages: messages.map(({ row, message }) => wireMessage(row, message)) };
    },
  }),
  method({
    name: "sessions.preview",
    scope: "operator.read",
    params: z.object({
      keys: z.array(sessionKeyText).min(1).max(PREVIEW_KEYS_MAX),
      limit: z.int().min(1).max(50).optional(),
      maxChars: z.int().min(20).optional(),
    }),
    async handle(call, params) {
      const previews: unknown[] = [];
      for (const sent of params.keys) {
        const key = resolveSession(call.gateway.catalog, sent);
        previews.push(await preview(call, key, params.limit ?? PREVIEW_ITEMS, params.maxChars));
      }
      return { ts: call.gateway.clock.now(), previews };
    },
  }),
];

async function listSessions(call: Call, params: ListParams): Promise<unknown> {
  const { gateway, tenant } = call;
  const { catalog, clock } = gateway;
  const limit = Math.min(params.limit ?? LIST_LIMIT, LIST_LIMIT_MAX);
  const offset = params.offset ?? 0;
  const agent = params.agentId === undefined ? undefined : resolveAgent(catalog, params);
  const search = params.search?.trim();
  const query: SessionQuery = {
    limit,
    offset,
    agentId: agent?.id,
    agentIds: params.configuredAgentsOnly && !agent ? catalog.agents.map(({ id }) => id) : undefined,
    activeWithinMs: params.activeMinutes === undefined ? undefined : params.activeMinutes * 60_000,
    activeOnly: params.activeOnly,
    search: search === "" ? undefined : search,
    label: params.label?.trim(),
    archived: params.archived === "all" ? undefined : (params.archived ?? false),
    pinned: params.pinned,
    excludeSubagents: params.excludeSubagents,
    excludeCron: params.excludeCron,
    spawnedBy: params.spawnedBy === undefined ? undefined : resolveSession(catalog, params.spawnedBy),
  };
  const { sessions, total } = asksForAbsent(params)
    ? { sessions: [], total: 0 }
    : await gateway.sessions.list(tenant, query);
  const now = clock.now();
  const options = {
    derivedTitles: params.includeDerivedTitles ?? false,
    lastMessage: params.includeLastMessage ?? false,
  };
  const end = offset + sessions.length;
  return {
    ts: now,
    path: "",
    count: sessions.length,
    totalCount: total,
    limitApplied: limit,
    ...(offset > 0 ? { offset } : {}),
    nextOffset: end < total ? end : null,
    hasMore: end < total,
    owners: [],
    defaults: defaultsOf(catalog, agent ?? findAgent(catalog, catalog.defaultAgentId)),
    sessions: sessions.map((session: SessionRecord) => sessionRow(catalog, session, now, options)),
  };
}

/** The last few texts of a session. */
async function preview(
  { gateway, tenant }: Call,
  key: SessionKey,
  limit: number,
  maxChars: number = PREVIEW_CHARACTERS,
): Promise<unknown> {
  if (!findAgent(gateway.catalog, agentOfSessionKey(key))) return { key, status: "missing", items: [] };
  const { session, messages } = await readHistory(gateway, tenant, key, {
    limit,
    offset: 0,
    maxBytes: gateway.limits.historyBytes,
  });
  if (session === null) return { key, status: "missing", items: [] };
  const items = messages
    .map(({ message }) => ({ role: message.role, text: messageText(message).slice(0, maxChars) }))
    .filter((item) => item.text !== "");
  return { key, status: items.length === 0 ? "empty" : "ok", items };
}
