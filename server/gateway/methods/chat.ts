import { z } from "zod";
import { HAError } from "../../core/errors.ts";
import { runId as asRunId, type SessionKey } from "../../core/ids.ts";
import { QUEUE_MODES } from "../../core/queue-mode.ts";
import type { RunOptions, RunRecord } from "../../core/run.ts";
import { isEnded } from "../../core/run-state.ts";
import { abortRuns, stopRuns } from "../abort-runs.ts";
import { resolveSession } from "../accept-run.ts";
import { attachmentsParam, readAttachments } from "../attachments.ts";
import { checkExpectations } from "../check-expectations.ts";
import { runCommand } from "../commands/run-command.ts";
import { sendAnswer } from "../projection/run-result.ts";
import { count, sessionKeyText, text } from "../protocol/params.ts";
import { injectMessage } from "./inject.ts";
import { type Call, method, type Method } from "./registry.ts";

/** What chat.send, sessions.send and sessions.create have in common. */
export const sendParams = z.object({
  message: z.string(),
  thinking: z.string().optional(),
  queueMode: z.enum(QUEUE_MODES).optional(),
  attachments: attachmentsParam.optional(),
  timeoutMs: count.optional(),
  agentId: z.string().optional(),
  sessionId: text.max(512).optional(),
  expectedLeafEntryId: text.max(512).nullable().optional(),
});

type Answer = Readonly<Record<string, unknown>>;

/** Tells how a run stands; one that is not over is followed for the connection. */
function acknowledge({ hub, connection }: Call, run: RunRecord, made: boolean): Answer {
  if (!isEnded(run.status)) hub.track(run, connection, made);
  return sendAnswer(run, made);
}

/**
 * Accepts one message and answers as `chat.send`: `started` for a new run; for a key that was seen before, how its
 * run stands. A command is acknowledged in the same way and then answered at once. `wrap` adds to the acknowledgement.
 */
export async function send(
  call: Call,
  sessionKey: SessionKey,
  idempotencyKey: string,
  params: z.infer<typeof sendParams>,
  wrap: (answer: Answer) => Answer = (answer) => answer,
): Promise<unknown> {
  const { gateway, hub, connection, tenant } = call;
  const attachments = readAttachments(params.attachments);
  if (params.message.trim() === "" && attachments.length === 0) {
    throw new HAError("REQUEST_INVALID", "message or attachment required");
  }
  await checkExpectations(call, sessionKey, idempotencyKey, params);
  const command =
    attachments.length === 0 ? await runCommand(call, sessionKey, idempotencyKey, params.message) : null;
  if (command?.kind === "answered") {
    call.respond(wrap({ ...acknowledge(call, command.run, command.started), ...command.extra }));
    command.tell();
    return undefined;
  }
  const options: RunOptions = {
    ...(params.thinking === undefined ? {} : { thinking: params.thinking }),
    ...(params.timeoutMs === undefined || params.timeoutMs === 0 ? {} : { timeoutMs: params.timeoutMs }),
    requesterConnId: connection.id,
    ...(connection.client === null ? {} : { sender: connection.client.id }),
    ...command?.options,
  };
  const { run, made } = await gateway.acceptor.accept({
    tenant,
    sessionKey,
    idempotencyKey,
    message: command?.message ?? params.message,
    sent: params.message,
    traceparent: call.traceparent,
    attachments,
    options,
    queueMode: params.queueMode ?? "session",
  });
  if (made) hub.feed.changed(sessionKey, { reason: "send" });
  return wrap(acknowledge(call, run, made));
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
        // As in OpenClaw a session's subagents go on where no run is named; sessions.abort and /stop end them too.
        const runIds = await abortRuns(call, { sessionKey });
        return { ok: true, aborted: runIds.length > 0, runIds };
      }
      const runId = asRunId(params.runId);
      const run = await call.gateway.ledger.get(call.tenant, runId);
      if (run !== null && run.sessionKey !== sessionKey) {
        throw new HAError("REQUEST_INVALID", "runId does not match sessionKey");
      }
      const { runIds } =
        run === null || isEnded(run.status) ? { runIds: [] } : await stopRuns(call, { runId });
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
