import { z } from "zod";
import { findModel } from "../../core/catalog.ts";
import { HAError } from "../../core/errors.ts";
import { runId as asRunId } from "../../core/ids.ts";
import { QUEUE_MODES } from "../../core/queue-mode.ts";
import type { SessionPatch, SessionRecord } from "../../core/session.ts";
import { stopRuns } from "../abort-runs.ts";
import { resolveSession, unknownModel } from "../accept-run.ts";
import { isMainSession, sessionEntry, sessionResolved } from "../projection/session-row.ts";
import { createSession, resetSession } from "../reset-session.ts";
import { sessionKeyText, text } from "../protocol/params.ts";
import type { Scope } from "../protocol/scopes.ts";
import { send, sendParams } from "./chat.ts";
import { tellSession } from "./notices.ts";
import { resolveAgent } from "./params.ts";
import { type Call, method, type Method } from "./registry.ts";
import { keyParam } from "./sessions-read.ts";

const clearable = z.union([text.max(512), z.null()]).optional();

const patchFields = {
  label: clearable,
  model: clearable,
  thinkingLevel: clearable,
  verboseLevel: clearable,
  queueMode: z.union([z.enum(QUEUE_MODES), z.null()]).optional(),
  archived: z.boolean().optional(),
  pinned: z.boolean().optional(),
};
/** What sessions.patch takes beside them; `expected…`: nothing is changed where the session is not as the client believes. */
const patchParams = keyParam.extend({
  ...patchFields,
  unread: z.boolean().optional(),
  expectedMarkedUnreadAt: z.number().nullable().optional(),
  expectedSessionId: text.max(512).optional(),
  expectedLifecycleRevision: text.max(64).optional(),
});

/** Fields that a person changes of a conversation while using it; the others are an operator's. */
const WRITE_FIELDS: ReadonlySet<string> = new Set([
  "key",
  "agentId",
  "label",
  "model",
  "thinkingLevel",
  "archived",
  "pinned",
  "unread",
  "expectedMarkedUnreadAt",
  "expectedSessionId",
  "expectedLifecycleRevision",
]);

function patchScope(params: unknown): Scope {
  const fields = typeof params === "object" && params !== null ? Object.keys(params) : [];
  return fields.every((field) => WRITE_FIELDS.has(field)) ? "operator.write" : "operator.admin";
}

type PatchFields = z.infer<z.ZodObject<typeof patchFields>>;

/** Creates, changes, empties and deletes sessions, and sends to them by key. */
export const sessionWriteMethods: readonly Method[] = [
  method({
    name: "sessions.create",
    scope: "operator.write",
    accepts: true,
    params: sendParams.partial().extend({
      ...patchFields,
      key: sessionKeyText.optional(),
      task: z.string().optional(),
      idempotencyKey: z.string().min(1).max(256).optional(),
    }),
    async handle(call, params) {
      const { catalog, random } = call.gateway;
      const key =
        params.key === undefined
          ? resolveSession(catalog, `agent:${resolveAgent(catalog, params).id}:dashboard:${random.uuid()}`)
          : resolveSession(catalog, params.key, params.agentId);
      const patch = checkedPatch(call, params);
      const { session, created } = await createSession(call, key, patch);
      if (created) tellSession(call, key, "create");
      const answer = {
        ok: true,
        key,
        sessionId: session.sessionId,
        entry: sessionEntry(session),
        resolved: sessionResolved(catalog, session),
      };
      const message = params.message ?? params.task ?? "";
      if (message === "" && params.attachments === undefined) return { ...answer, runStarted: false };
      const { thinking, attachments, timeoutMs } = params;
      const sent = { message, thinking, attachments, timeoutMs };
      return send(call, key, params.idempotencyKey ?? random.uuid(), sent, (started) => ({
        ...answer,
        runStarted: true,
        ...started,
      }));
    },
  }),
  method({
    name: "sessions.patch",
    scope: patchScope,
    params: patchParams,
    async handle(call, params) {
      const { gateway, tenant } = call;
      const key = resolveSession(gateway.catalog, params.key, params.agentId);
      const patch = { ...checkedPatch(call, params), ...unreadPatch(params) };
      const { expectedSessionId, expectedLifecycleRevision } = params;
      if (expectedSessionId !== undefined || expectedLifecycleRevision !== undefined || patch.pinned) {
        const session = await gateway.sessions.get(tenant, key);
        if (
          (expectedSessionId !== undefined && session?.sessionId !== expectedSessionId) ||
          (expectedLifecycleRevision !== undefined &&
            String(session?.lifecycleRevision) !== expectedLifecycleRevision)
        ) {
          throw new HAError("REQUEST_INVALID", `Session "${key}" changed. Refresh it and retry.`);
        }
        if (patch.pinned && (patch.archived ?? session?.archived)) {
          throw new HAError("REQUEST_INVALID", "cannot pin an archived session; restore it first");
        }
      }
      // A session that was never talked to can be given a model or a name: it is created with them.
      const session =
        (await gateway.sessions.patch(tenant, key, patch)) ?? (await createSession(call, key, patch)).session;
      tellSession(call, key, "patch");
      return changed(call, session);
    },
  }),
  method({
    name: "sessions.reset",
    scope: "operator.admin",
    params: keyParam.extend({ reason: z.string().max(64).optional() }),
    async handle(call, params) {
      const key = resolveSession(call.gateway.catalog, params.key, params.agentId);
      return changed(call, await resetSession(call, key, params.reason ?? "reset"));
    },
  }),
  method({
    name: "sessions.delete",
    scope: "operator.admin",
    params: keyParam,
    async handle(call, params) {
      const { gateway, tenant } = call;
      const key = resolveSession(gateway.catalog, params.key, params.agentId);
      if (isMainSession(gateway.catalog, key)) {
        throw new HAError("REQUEST_INVALID", `Cannot delete the main session (${key}).`);
      }
      await stopRuns(call, { sessionKey: key });
      const { deleted } = await gateway.sessions.delete(tenant, key);
      if (deleted) tellSession(call, key, "delete");
      return { ok: true, key, deleted, archived: [] };
    },
  }),
  method({
    name: "sessions.send",
    scope: "operator.write",
    accepts: true,
    params: sendParams.extend({
      key: sessionKeyText,
      idempotencyKey: z.string().min(1).max(256).optional(),
    }),
    handle: (call, params) =>
      send(
        call,
        resolveSession(call.gateway.catalog, params.key, params.agentId),
        params.idempotencyKey ?? call.gateway.random.uuid(),
        params,
      ),
  }),
  method({
    name: "sessions.abort",
    scope: "operator.write",
    params: z.object({
      key: sessionKeyText.optional(),
      agentId: z.string().optional(),
      runId: text.optional(),
    }),
    async handle(call, params) {
      const { runIds, subagents } = await stopRuns(call, abortTarget(call, params));
      const [abortedRunId = null] = runIds;
      if (abortedRunId === null && subagents === 0)
        return { ok: true, abortedRunId, status: "no-active-run" };
      return { ok: true, abortedRunId, runIds, status: "aborted" };
    },
  }),
];

function abortTarget(call: Call, params: { key?: string; agentId?: string; runId?: string }) {
  if (params.runId !== undefined) return { runId: asRunId(params.runId) };
  if (params.key !== undefined) {
    return { sessionKey: resolveSession(call.gateway.catalog, params.key, params.agentId) };
  }
  throw new HAError("REQUEST_INVALID", "key or runId required");
}

/** @throws HAError REQUEST_INVALID for a model that the catalog does not have */
function checkedPatch({ gateway }: Call, params: PatchFields): SessionPatch {
  const { label, model, thinkingLevel, verboseLevel, queueMode, archived, pinned } = params;
  let modelName = model;
  if (model !== undefined && model !== null) {
    const known = findModel(gateway.catalog, model);
    if (!known) throw unknownModel(model);
    modelName = `${known.provider}/${known.id}`;
  }
  const patch = { label, model: modelName, thinkingLevel, verboseLevel, queueMode, archived, pinned };
  return Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined));
}

function unreadPatch(params: z.infer<typeof patchParams>): SessionPatch {
  const { unread, expectedMarkedUnreadAt } = params;
  if (expectedMarkedUnreadAt === undefined) return unread === undefined ? {} : { unread };
  const others = Object.entries(params).some(([field, value]) => value !== undefined && field in patchFields);
  if (unread !== false || others) {
    throw new HAError(
      "REQUEST_INVALID",
      "expectedMarkedUnreadAt requires unread=false as the only mutation.",
    );
  }
  return { unread, expectedMarkedUnreadAt };
}

const changed = ({ gateway }: Call, session: SessionRecord): unknown => ({
  ok: true,
  path: "",
  key: session.key,
  entry: sessionEntry(session),
  resolved: sessionResolved(gateway.catalog, session),
});
