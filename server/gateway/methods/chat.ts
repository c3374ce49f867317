import { z } from "zod";
import { findAgent } from "../../core/catalog.ts";
import { HAError } from "../../core/errors.ts";
import { runId as asRunId, type SessionKey } from "../../core/ids.ts";
import { QUEUE_MODES } from "../../core/queue-mode.ts";
import type { RunOptions } from "../../core/run.ts";
import type { SessionRecord } from "../../core/session.ts";
import { agentOfSessionKey } from "../../core/session-key.ts";
import { abortRuns } from "../abort-runs.ts";
import { resolveSession } from "../accept-run.ts";
import { attachmentsParam, readAttachments } from "../attachments.ts";
import type { FollowedRun } from "../followed-run.ts";
import { defaultsOf } from "../projection/catalog.ts";
import { sendAnswer } from "../projection/run-result.ts";
import { sessionRow } from "../projection/session-row.ts";
import { wireMessage } from "../projection/transcript-row.ts";
import { count, sessionKeyText, text } from "../protocol/params.ts";
import { readHistory } from "../read-history.ts";
import { injectMessage } from "./inject.ts";
import { type Call, method, type Method } from "./registry.ts";

const HISTORY_LIMIT = 200;
const HISTORY_LIMIT_MAX = 1_000;
/** Queued runs that `pendingInputs` lists. */
const PENDING_MAX = 50;

/** What chat.send, sessions.send and sessions.create have in common. */
export const sendParams = z.object({
  message: z.string(),
  thinking: z.string().optional(),
  queueMode: z.enum(QUEUE_MODES).optional(),
  attachments: attachmentsParam.optional(),
  timeoutMs: count.optional(),
  agentId: z.string().optional(),
});

/**
 * Accepts one message and answers as `chat.send`: `started` for a new run; for a key that was seen before, how its
 * run stands.
 */
export async function send(
  call: Call,
  sessionKey: SessionKey,
  idempotencyKey: string,
  params: z.infer<typeof sendParams>,
): Promise<Readonly<Record<string, unknown>>> {
  const { gateway, hub, connection, tenant } = call;
  const attachments = readAttachments(params.attachments);
  if (params.message.trim() === "" && attachments.length === 0) {
    throw new HAError("REQUEST_INVALID", "message or attachment required");
  }
  const options: RunOptions = {
    ...(params.thinking === undefined ? {} : { thinking: params.thinking }),
    ...(params.timeoutMs === undefined || params.timeoutMs === 0 ? {} : { timeoutMs: params.timeoutMs }),
    requesterConnId: connection.id,
    ...(connection.client === null ? {} : { sender: connection.client.id }),
  };
  const { message } = params;
  const { run, made } = await gateway.acceptor.accept({
    tenant,
    sessionKey,
    idempotencyKey,
    message,
    attachments,
    options,
    queueMode: params.queueMode ?? "session",
  });
  const answer = sendAnswer(run, made);
  if (answer.status === "started" || answer.status === "in_flight") hub.track(run, connection, made);
  if (made) hub.feed.changed(sessionKey, { reason: "send" });
  return answer;
}

export const chatMethods: readonly Method[] = [
  method({
    name: "chat.send",
    scope: "operator.write",
    accepts: true,
    params: sendParams.extend({ sessionKey: sessionKeyText, idempotencyKey: z.string().min(1).max(256) }),
    handle: (call, params) =>
      send(
        call,
        resolveSession(call.gateway.catalog, params.sessionKey, params.agentId),
        params.idempotencyKey,
        params,
      ),
  }),
  method({
    name: "chat.history",
    scope: "operator.read",
    params: z.object({
      sessionKey: sessionKeyText,
      agentId: z.string().optional(),
      limit: z.int().min(1).max(HISTORY_LIMIT_MAX).optional(),
      offset: count.optional(),
      cursor: z.string().optional(),
      maxBytes: z.int().min(1).optional(),
    }),
    handle: (call, params) => {
      // Catch-up by cursor is not offered (no `deltaCursor` in answers): the client starts from a page.
      if (params.cursor !== undefined) return { kind: "reset" };
      return history(call, resolveSession(call.gateway.catalog, params.sessionKey, params.agentId), params);
    },
  }),
  method({
    name: "chat.abort",
    scope: "operator.write",
    params: z.object({
      sessionKey: sessionKeyText,
      agentId: z.string().optional(),
      runId: text.optional(),
    }),
    async handle(call, params) {
      const sessionKey = resolveSession(call.gateway.catalog, params.sessionKey, params.agentId);
      if (params.runId === undefined) {
        const runIds = await abortRuns(call, { sessionKey });
        return { ok: true, aborted: runIds.length > 0, runIds };
      }
      const runId = asRunId(params.runId);
      const run = await call.gateway.ledger.get(call.tenant, runId);
      if (run !== null && run.sessionKey !== sessionKey) {
        throw new HAError("REQUEST_INVALID", "runId does not match sessionKey");
      }
      const runIds = run === null ? [] : await abortRuns(call, { runId });
      return { ok: true, aborted: runIds.length > 0, runIds };
    },
  }),
  method({
    name: "chat.inject",
    scope: "operator.admin",
    params: z.object({
      sessionKey: sessionKeyText,
      agentId: z.string().optional(),
      message: text,
      label: z.string().max(100).optional(),
    }),
    handle: (call, params) =>
      injectMessage(
        call,
        resolveSession(call.gateway.catalog, params.sessionKey, params.agentId),
        params.message,
        params.label,
      ),
  }),
];

async function history(
  call: Call,
  key: SessionKey,
  params: { readonly limit?: number; readonly offset?: number; readonly maxBytes?: number },
): Promise<unknown> {
  const { gateway, tenant } = call;
  const { catalog, clock, limits } = gateway;
  const page = await readHistory(gateway, tenant, key, {
    limit: params.limit ?? HISTORY_LIMIT,
    offset: params.offset ?? 0,
    maxBytes: Math.min(params.maxBytes ?? limits.historyBytes, limits.historyBytes),
  });
  const { session } = page;
  const agent = findAgent(catalog, session?.agentId ?? agentOfSessionKey(key));
  const common = {
    sessionKey: key,
    messages: page.messages.map(({ row, message }) => wireMessage(row, message)),
    hasMore: page.nextOffset !== null,
    ...(page.nextOffset === null ? {} : { nextOffset: page.nextOffset }),
    totalMessages: page.total,
    defaults: defaultsOf(catalog, agent),
    thinkingLevel: session?.thinkingLevel ?? agent?.thinkingLevel ?? "off",
  };
  if (session === null) return { ...common, pendingInputs: { items: [], total: 0 } };
  const [pending, inFlightRun] = await Promise.all([
    pendingInputs(call, session),
    runInFlight(call, session),
  ]);
  return {
    ...common,
    sessionId: session.sessionId,
    sessionInfo: sessionRow(catalog, session, clock.now()),
    pendingInputs: { items: pending, total: pending.length },
    ...(inFlightRun === null ? {} : { inFlightRun }),
  };
}

/** The session's queued runs, oldest first. Their texts are the worker's to read: they are not told here. */
async function pendingInputs(call: Call, session: SessionRecord): Promise<readonly unknown[]> {
  if (session.activeRunId === null) return [];
  const queued = await call.gateway.ledger.list(call.tenant, {
    sessionKey: session.key,
    status: ["queued"],
    limit: PENDING_MAX,
  });
  return queued
    .map((run) => ({ id: run.runId, runId: run.runId, acceptedAt: run.acceptedAt, state: "queued" }))
    .toReversed();
}

/** The run that a worker has now, with its text so far: from this gateway's view, or caught up with over the bus. */
async function runInFlight(call: Call, session: SessionRecord): Promise<unknown> {
  const { hub, gateway, tenant } = call;
  if (session.activeRunId === null) return null;
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
