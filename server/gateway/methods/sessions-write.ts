import { z } from "zod";
import { findAgent, findModel } from "../../core/catalog.ts";
import { HAError } from "../../core/errors.ts";
import { type AgentId, runId as asRunId, type SessionKey } from "../../core/ids.ts";
import { QUEUE_MODES } from "../../core/queue-mode.ts";
import {
  type PatchExpectations,
  patchRefused,
  type SessionPatch,
  type SessionRecord,
} from "../../core/session.ts";
import { agentOfSessionKey } from "../../core/session-key.ts";
import { thinkingLevelOf, thinkingLevelsOf } from "../../core/thinking.ts";
import { stopRuns } from "../abort-runs.ts";
import { resolveSession, unknownModel } from "../accept-run.ts";
import { modelInUse } from "../projection/catalog.ts";
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

/** Fields that a person changes of a conversation while using it, as OpenClaw has them; the others are an operator's. */
const WRITE_FIELDS: ReadonlySet<string> = new Set(
  (
    "key agentId expectedSessionId expectedLifecycleRevision expectedPermissionMode expectedMarkedUnreadAt label autoLabel " +
    "icon color category boardFace boardPresentation pinned archived unread model agentRuntime thinkingLevel fastMode permissionMode"
  ).split(" "),
);

function patchScope(params: unknown): Scope {
  const fields = typeof params === "object" && params !== null ? Object.entries(params) : [];
  const isWrite = ([field, value]: readonly [string, unknown]): boolean =>
    WRITE_FIELDS.has(field) && !(field === "permissionMode" && value === "full");
  return fields.every(isWrite) ? "operator.write" : "operator.admin";
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
      const patch = checkedPatch(call, agentOfSessionKey(key), null, params);
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
      const session = await gateway.sessions.get(tenant, key);
      if (params.archived !== undefined) checkArchive(call, key, session, params);
      const patch = {
        ...checkedPatch(call, agentOfSessionKey(key), session, params),
        ...unreadPatch(params),
      };
      const { expectedSessionId, expectedLifecycleRevision } = params;
      const expected = { expectedSessionId, expectedLifecycleRevision };
      const changed = await changeSession(call, key, patch, expected);
      // What is put away is not worked on any more.
      if (params.archived === true) await stopRuns(call, { sessionKey: key });
      tellSession(call, key, "patch");
      return entryAnswer(call, changed);
    },
  }),
  method({
    name: "sessions.reset",
    scope: "operator.admin",
    params: keyParam.extend({ reason: z.enum(["new", "reset"]).optional() }),
    async handle(call, params) {
      const key = resolveSession(call.gateway.catalog, params.key, params.agentId);
      return entryAnswer(call, await resetSession(call, key, params.reason ?? "reset"));
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
    async handle(call, params) {
      const { gateway, tenant } = call;
      const key = resolveSession(gateway.catalog, params.key, params.agentId);
      const runId = params.idempotencyKey ?? gateway.random.uuid();
      // As chat.send, but into a session that is there. What was accepted before is answered as it stands.
      const isThere =
        (await gateway.sessions.get(tenant, key)) ?? (await gateway.ledger.get(tenant, asRunId(runId)));
      if (isThere === null) throw new HAError("NOT_FOUND", `session not found: ${key}`, { sessionKey: key });
      return send(call, key, runId, params);
    },
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

/**
 * Compared and written by one statement. A session that was never talked to can be given a model or a name: it is created
 * with them, unless a session is expected to be there.
 */
async function changeSession(
  call: Call,
  key: SessionKey,
  patch: SessionPatch,
  expected: PatchExpectations,
): Promise<SessionRecord> {
  const { gateway, tenant } = call;
  const session = await gateway.sessions.patch(tenant, key, { ...patch, ...expected });
  if (session !== null) return session;
  if (Object.values(expected).some((one) => one !== undefined)) {
    throw patchRefused("session-changed", key, patch);
  }
  return (await createSession(call, key, patch)).session;
}

/** @throws HAError REQUEST_INVALID where there is nothing to archive, or it is not named, or must not be archived */
function checkArchive(
  { gateway }: Call,
  key: SessionKey,
  session: SessionRecord | null,
  { archived, expectedSessionId }: z.infer<typeof patchParams>,
): void {
  // Where one is expected, the write says that it is not there.
  if (session === null && expectedSessionId === undefined) {
    throw new HAError("REQUEST_INVALID", `session not found: ${key}`);
  }
  if (expectedSessionId === undefined) {
    throw new HAError("REQUEST_INVALID", `expectedSessionId required for session lifecycle patch: ${key}`);
  }
  if (archived === true && isMainSession(gateway.catalog, key)) {
    throw new HAError("REQUEST_INVALID", "Cannot archive an agent's main session.");
  }
}

/** @throws HAError REQUEST_INVALID for a model that the catalog does not have, a level that the model does not have */
function checkedPatch(
  { gateway }: Call,
  agentId: AgentId,
  session: SessionRecord | null,
  params: PatchFields,
): SessionPatch {
  const { model, verboseLevel, queueMode, archived, pinned } = params;
  const known = model == null ? undefined : findModel(gateway.catalog, model);
  if (model != null && !known) throw unknownModel(model);
  const modelName = known ? `${known.provider}/${known.id}` : model;
  const willUse = modelInUse(
    gateway.catalog,
    findAgent(gateway.catalog, agentId),
    modelName === undefined ? session : { model: modelName },
  );
  const patch = {
    label: typeof params.label === "string" ? checkedLabel(params.label) : params.label,
    model: modelName,
    thinkingLevel:
      typeof params.thinkingLevel === "string"
        ? checkedLevel(params.thinkingLevel, willUse)
        : params.thinkingLevel,
    verboseLevel,
    queueMode,
    archived,
    pinned,
  };
  return Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined));
}

function checkedLabel(label: string): string {
  if (label.trim() === "") throw new HAError("REQUEST_INVALID", "invalid label: empty");
  return label.trim();
}

function checkedLevel(asked: string, { provider, model, spec }: ReturnType<typeof modelInUse>): string {
  const levels = thinkingLevelsOf(spec);
  const level = thinkingLevelOf(asked);
  if (level !== null && levels.includes(level)) return level;
  const use = `(use ${levels.join("|")})`;
  throw new HAError(
    "REQUEST_INVALID",
    level === null
      ? `invalid thinkingLevel ${use}`
      : `thinkingLevel "${level}" is not supported for ${provider}/${model} ${use}`,
  );
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

const entryAnswer = ({ gateway }: Call, session: SessionRecord): unknown => ({
  ok: true,
  path: "",
  key: session.key,
  entry: sessionEntry(session),
  resolved: sessionResolved(gateway.catalog, session),
});
