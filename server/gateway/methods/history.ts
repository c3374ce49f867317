import { z } from "zod";
import { findAgent } from "../../core/catalog.ts";
import { HAError } from "../../core/errors.ts";
import { runId as asRunId, type SessionKey } from "../../core/ids.ts";
import type { SessionRecord } from "../../core/session.ts";
import { isForModelOnly } from "../../core/provenance.ts";
import { agentOfSessionKey } from "../../core/session-key.ts";
import { resolveSession } from "../accept-run.ts";
import type { FollowedRun } from "../followed-run.ts";
import { historyCursor, seqOfCursor } from "../history-cursor.ts";
import { agentsList, defaultsOf, modelsList } from "../projection/catalog.ts";
import { commandsList } from "../projection/commands.ts";
import { sessionRow, untouchedSessionRow } from "../projection/session-row.ts";
import {
  pendingMessage,
  sessionMessage,
  unavailablePending,
  wireMessage,
} from "../projection/transcript-row.ts";
import { count, sessionKeyText, text } from "../protocol/params.ts";
import { type HistoryPage, readHistory, readMessage } from "../read-history.ts";
import { resolveShortId, shortIdText } from "../resolve-short-id.ts";
import { resolveAgent } from "./params.ts";
import { type Call, method, type Method } from "./registry.ts";

const HISTORY_LIMIT = 200;
const HISTORY_LIMIT_MAX = 1_000;
/** Messages that `pendingInputs` lists, as OpenClaw does. */
const PENDING_MAX = 20;
/** A client that lacks more than this reads a page instead. */
const DELTA_ROWS_MAX = 200;
const DELTA_BYTES_MAX = 1_000_000;
/** Larger messages do not fit into a frame of the client's. */
const MESSAGE_BYTES_MAX = 26_213_376;

const historyParams = z.object({
  sessionKey: sessionKeyText,
  agentId: z.string().optional(),
  limit: z.int().min(1).max(HISTORY_LIMIT_MAX).optional(),
  offset: count.optional(),
  cursor: z.string().max(2_048).optional(),
  messageId: text.max(512).optional(),
  sessionId: text.max(512).optional(),
  inputRunIds: z.array(text.max(256)).max(50).optional(),
  maxBytes: z.int().min(1).optional(),
});
type HistoryParams = z.infer<typeof historyParams>;

const startupParams = z.union([
  historyParams,
  z.object({
    shortId: shortIdText,
    agentId: z.string().optional(),
    limit: z.int().min(1).max(HISTORY_LIMIT_MAX).optional(),
    maxBytes: z.int().min(1).optional(),
  }),
]);

/** What clients read of a conversation: pages, what came after a cursor, one message, and all a first screen needs. */
export const historyMethods: readonly Method[] = [
  method({
    name: "chat.history",
    scope: "operator.read",
    params: historyParams,
    handle: (call, params) =>
      history(call, resolveSession(call.gateway.catalog, params.sessionKey, params.agentId), params),
  }),
  method({
    name: "chat.startup",
    scope: "operator.read",
    params: startupParams,
    async handle(call, params) {
      const { catalog } = call.gateway;
      if (!("shortId" in params)) {
        return startup(call, resolveSession(catalog, params.sessionKey, params.agentId), params);
      }
      // A client that knows a session only by the address of its page.
      call.hub.audience.sessionWatchers.add(call.connection);
      const found = await resolveShortId(call, params.shortId, params.agentId);
      if (found.length !== 1 || found[0] === undefined) {
        const candidates = found.length > 1 ? { candidates: found } : {};
        return { resolution: { ok: false, ...candidates } };
      }
      const [session] = found;
      return {
        ...(await startup(call, session.key, { limit: params.limit, maxBytes: params.maxBytes })),
        resolution: { ok: true, ...session },
      };
    },
  }),
  method({
    name: "chat.metadata",
    scope: "operator.read",
    params: z.object({ agentId: z.string().optional(), sessionKey: sessionKeyText.optional() }),
    handle: (call, params) => metadata(call, params),
  }),
  method({
    name: "chat.message.get",
    scope: "operator.read",
    params: z.object({
      sessionKey: sessionKeyText,
      agentId: z.string().optional(),
      messageId: text.max(512),
    }),
    async handle({ gateway, tenant }, params) {
      const key = resolveSession(gateway.catalog, params.sessionKey, params.agentId);
      const found = await readMessage(gateway, tenant, key, params.messageId);
      if (found === null) return { ok: false, unavailableReason: "not_found" };
      if (isForModelOnly(found.message)) return { ok: false, unavailableReason: "not_visible" };
      const message = wireMessage(found.row, found.message);
      const tooLarge = Buffer.byteLength(JSON.stringify(message)) > MESSAGE_BYTES_MAX;
      return tooLarge ? { ok: false, unavailableReason: "oversized" } : { ok: true, message };
    },
  }),
];

type Answer = Readonly<Record<string, unknown>>;

/** A page and, so that nothing else has to be asked for first, the agents, the models and the commands. */
async function startup(
  call: Call,
  key: SessionKey,
  params: Omit<HistoryParams, "sessionKey">,
): Promise<Answer> {
  return {
    ...(await history(call, key, params)),
    agentsList: agentsList(call.gateway.catalog),
    metadata: metadata(call, { sessionKey: key }),
  };
}

function metadata(
  { gateway }: Call,
  params: { readonly agentId?: string | undefined; readonly sessionKey?: string | undefined },
): Answer {
  return {
    ...modelsList(gateway.catalog, resolveAgent(gateway.catalog, params)),
    commands: commandsList(gateway.commands.list, true),
    swarmEnabled: false,
    runtimeSelectionLocked: false,
  };
}

async function history(
  call: Call,
  key: SessionKey,
  params: Omit<HistoryParams, "sessionKey">,
): Promise<Answer> {
  const { gateway, tenant } = call;
  const { catalog, limits } = gateway;
  const { cursor, messageId, offset, sessionId, inputRunIds } = params;
  if (offset !== undefined && messageId !== undefined) {
    throw new HAError("REQUEST_INVALID", "offset and messageId cannot be used together");
  }
  if (cursor !== undefined && (offset !== undefined || messageId !== undefined)) {
    throw new HAError("REQUEST_INVALID", "cursor cannot be used with offset or messageId");
  }
  if (sessionId !== undefined && messageId === undefined) {
    throw new HAError("REQUEST_INVALID", "sessionId requires messageId");
  }
  const maxBytes = Math.min(params.maxBytes ?? limits.historyBytes, limits.historyBytes);
  if (cursor !== undefined) return historyDelta(call, key, cursor, maxBytes, inputRunIds);

  const page = await readHistory(gateway, tenant, key, {
    limit: params.limit ?? HISTORY_LIMIT,
    offset: offset ?? 0,
    aroundMessage: messageId,
    maxBytes,
  });
  const { session } = page;
  const agent = findAgent(catalog, session?.agentId ?? agentOfSessionKey(key));
  const common = {
    sessionKey: key,
    messages: shown(page.messages).map(({ row, message }) => wireMessage(row, message)),
    ...(messageId === undefined ? {} : { offset: page.offset }),
    hasMore: page.nextOffset !== null,
    ...(page.nextOffset === null ? {} : { nextOffset: page.nextOffset }),
    totalMessages: page.total,
    defaults: defaultsOf(catalog, agent),
    thinkingLevel: session?.thinkingLevel ?? agent?.thinkingLevel ?? "off",
  };
  if (session === null) {
    const sessionInfo = untouchedSessionRow(catalog, key, gateway.clock.now());
    return { ...common, sessionInfo, ...(await state(call, null, inputRunIds)) };
  }
  return {
    ...common,
    sessionId: session.sessionId,
    // A cursor stands for all rows up to the head: only the newest page has them.
    ...(page.offset === 0 ? { deltaCursor: historyCursor(session) } : {}),
    ...(await state(call, session, inputRunIds)),
  };
}

/** What came after a cursor, or `reset` where it is not of this history, or too much came: the client reads a page. */
async function historyDelta(
  call: Call,
  key: SessionKey,
  cursor: string,
  maxBytes: number,
  inputRunIds: readonly string[] | undefined,
): Promise<Answer> {
  const { gateway, tenant } = call;
  const session = await gateway.sessions.get(tenant, key);
  const seq = session === null ? null : seqOfCursor(cursor, session);
  if (session === null || seq === null || session.headSeq - seq > DELTA_ROWS_MAX) return { kind: "reset" };
  let messages: HistoryPage["messages"] = [];
  if (session.headSeq > seq) {
    const limit = session.headSeq - seq;
    const room = Math.min(maxBytes, DELTA_BYTES_MAX);
    const page = await readHistory(gateway, tenant, key, { limit, offset: 0, maxBytes: room, session });
    messages = page.messages;
    if (messages[0]?.row.seq !== seq + 1) return { kind: "reset" };
  }
  return {
    kind: "delta",
    messages: shown(messages).map(({ row, message }) => sessionMessage(key, session.agentId, row, message)),
    deltaCursor: historyCursor(session),
    ...(await state(call, session, inputRunIds)),
  };
}

/** As in the genuine gateway places and totals count all rows, also those that are not shown. */
const shown = (messages: HistoryPage["messages"]): HistoryPage["messages"] =>
  messages.filter(({ message }) => !isForModelOnly(message));

/** What is under way in the session, beside its rows. */
async function state(
  call: Call,
  session: SessionRecord | null,
  inputRunIds: readonly string[] | undefined,
): Promise<Answer> {
  const { catalog, clock } = call.gateway;
  const [pending, inFlightRun, inputReceipts] = await Promise.all([
    pendingInputs(call, session),
    runInFlight(call, session),
    inputRunIds === undefined ? undefined : receipts(call, session, inputRunIds),
  ]);
  return {
    pendingInputs: pending,
    ...(inputReceipts === undefined ? {} : { inputReceipts, inputConsumptions: [] }),
    ...(session === null
      ? {}
      : {
          sessionInfo: {
            ...sessionRow(catalog, session, clock.now()),
            activeLeafEntryId: session.headMessageId,
          },
        }),
    ...(inFlightRun === null ? {} : { inFlightRun }),
  };
}

/** The messages of the session that wait for their turn, oldest first; what is for the model alone is not shown. */
async function pendingInputs(
  { gateway, tenant }: Call,
  session: SessionRecord | null,
): Promise<{ readonly items: readonly unknown[]; readonly total: number }> {
  if (session === null || session.activeRunId === null) return { items: [], total: 0 };
  const { items, total } = await gateway.ledger.queued(tenant, session.key, PENDING_MAX);
  const messages = await Promise.all(
    items.map(({ body, acceptedAt }) =>
      gateway.bodies.load(tenant, body).catch(() => unavailablePending(acceptedAt)),
    ),
  );
  const shownItems = items.flatMap(({ runId, acceptedAt }, n) => {
    const message = messages[n]!;
    if (isForModelOnly(message)) return [];
    return [{ id: runId, runId, acceptedAt, state: "queued", message: pendingMessage(runId, message) }];
  });
  return { items: shownItems, total: total - (items.length - shownItems.length) };
}

/**
 * Which of the client's own inputs wait for their turn. One that has begun needs no receipt: it keeps its id, and its
 * row is known by `<runId>:user`.
 */
async function receipts(
  { gateway, tenant }: Call,
  session: SessionRecord | null,
  runIds: readonly string[],
): Promise<readonly unknown[]> {
  if (session === null) return [];
  const runs = await gateway.ledger.getMany(
    [...new Set(runIds)].map((runId) => ({ tenant, runId: asRunId(runId) })),
  );
  return runs
    .filter(({ sessionKey, status }) => sessionKey === session.key && status === "queued")
    .map(({ runId }) => ({ runId, state: "pending" }));
}

/** The run that a worker has now, with its text so far: from this gateway's view, or caught up with over the bus. */
async function runInFlight(call: Call, session: SessionRecord | null): Promise<unknown> {
  const { hub, gateway, tenant } = call;
  if (session === null || session.activeRunId === null) return null;
  let run: FollowedRun | null = hub.runs.get(session.activeRunId) ?? null;
  if (!run) {
    const record = await gateway.ledger.get(tenant, session.activeRunId);
    if (record?.status !== "running") return null;
    run = hub.track(record, null, false);
    if (run === null) return null;
  }
  await run.filling;
  const { view } = run;
  if (run.end !== null) return null;
  return { runId: view.runId, text: view.text, startedAt: view.startedAt ?? session.updatedAt };
}
