import { z } from "zod";
import { HAError } from "../../core/errors.ts";
import { runId as asRunId, type SessionKey } from "../../core/ids.ts";
import type { RunOptions } from "../../core/run.ts";
import { isEnded } from "../../core/run-state.ts";
import { THINKING_LEVELS, thinkingLevelOf } from "../../core/thinking.ts";
import { resolveSession } from "../accept-run.ts";
import { attachmentsParam, readAttachments } from "../attachments.ts";
import { runCommand } from "../commands/run-command.ts";
import { followRun } from "../follow-run.ts";
import { agentAnswer, waitAnswer, wireRunStatus } from "../projection/run-result.ts";
import { count, sessionKeyText, text } from "../protocol/params.ts";
import { endOfRecord, type RunEnd } from "../run-view.ts";
import { checkWaits, waitForEnd } from "../wait-for-end.ts";
import { resolveAgent } from "./params.ts";
import { type Call, Failed, method, type Method } from "./registry.ts";

/** How long `agent.wait` waits where the client says nothing, and at most. */
const WAIT_MS = 30_000;
const WAIT_MAX_MS = 7 * 24 * 3_600_000;

const agentParams = z.object({
  message: text,
  idempotencyKey: z.string().min(1).max(256),
  sessionKey: z.string().max(512).optional(),
  sessionId: z.string().max(256).optional(),
  to: z.string().max(512).optional(),
  agentId: z.string().optional(),
  model: z.string().optional(),
  provider: z.string().optional(),
  thinking: z.string().optional(),
  /** Seconds. */
  timeout: count.optional(),
  attachments: attachmentsParam.optional(),
});

/** Runs by their id: the request with two responses, waiting, and going on where another gateway left off. */
export const agentMethods: readonly Method[] = [
  method({
    name: "agent",
    scope: "operator.write",
    accepts: true,
    params: agentParams,
    handle: runAgent,
  }),
  method({
    name: "agent.wait",
    scope: "operator.write",
    params: z.object({ runId: text, timeoutMs: count.optional() }),
    async handle(call, params) {
      checkWaits(call);
      const runId = asRunId(params.runId);
      const timeoutMs = Math.min(params.timeoutMs ?? WAIT_MS, WAIT_MAX_MS);
      const end = await waitForEnd(call, runId, { timeoutMs, lookUp: true });
      return end === null ? { runId, status: "timeout" } : waitAnswer(runId, end);
    },
  }),
  /**
   * Ours, not OpenClaw's: what a client that lost its gateway asks the next one, instead of starting over. The
   * response tells how the run stands; `chat` events follow it: first one delta with all that is missing after
   * `afterRunSeq` (the `runSeq` of the last chat payload it saw; 0 for all), then the live ones, then the terminal
   * one. What the connection has heard live is not told again. With the cap `session-scoped-events` it subscribes
   * the run's session as well.
   */
  method({
    name: "openclaw-ha.runs.follow",
    scope: "operator.read",
    params: z.object({ runId: text, sessionKey: sessionKeyText.optional(), afterRunSeq: count.optional() }),
    async handle(call, params) {
      const { gateway, tenant, connection, hub } = call;
      const runId = asRunId(params.runId);
      const run = await gateway.ledger.get(tenant, runId);
      if (run === null) throw new HAError("NOT_FOUND", `unknown run: ${JSON.stringify(runId)}`);
      if (
        params.sessionKey !== undefined &&
        run.sessionKey !== resolveSession(gateway.catalog, params.sessionKey)
      ) {
        throw new HAError("REQUEST_INVALID", "runId does not match sessionKey");
      }
      if (connection.sessionScoped) {
        connection.subscriptions.add(run.sessionKey);
        hub.subscribed(connection, run.sessionKey);
      }
      call.respond({
        runId,
        sessionKey: run.sessionKey,
        agentId: run.agentId,
        status: wireRunStatus(run),
        runStatus: run.status,
        attempt: run.attempt,
      });
      await followRun(
        { hub, bus: gateway.bus, clock: gateway.clock },
        connection,
        run,
        params.afterRunSeq ?? 0,
      );
      return undefined;
    },
  }),
];

/**
 * Answers twice on one id: accepted, then the result. A duplicate gets both as well, also while the run is under way
 * on another gateway: its first response is `accepted` too, because the published client (gateway-client, expectFinal)
 * takes every other status for the final one. A duplicate of a run that is over gets the stored result alone.
 */
async function runAgent(call: Call, params: z.infer<typeof agentParams>): Promise<unknown> {
  const { gateway, tenant, connection, hub } = call;
  checkWaits(call);
  const sessionKey = await targetOf(call, params);
  const attachments = readAttachments(params.attachments);
  const command =
    attachments.length === 0
      ? await runCommand(call, sessionKey, params.idempotencyKey, params.message)
      : null;
  if (command?.kind === "answered") command.tell();
  const { run, made } =
    command?.kind === "answered"
      ? { run: command.run, made: false }
      : await gateway.acceptor.accept({
          tenant,
          sessionKey,
          idempotencyKey: params.idempotencyKey,
          message: command?.message ?? params.message,
          sent: params.message,
          traceparent: call.traceparent,
          attachments,
          options: { ...optionsOf(params, connection.id), ...command?.options },
        });
  const { runId, agentId, status } = run;
  if (isEnded(status)) return finalAnswer(run, endOfRecord({ ...run, status }));
  hub.track(run, connection, made);
  if (made) hub.feed.changed(sessionKey, { reason: "send" });
  call.respond({ runId, sessionKey, agentId, status: "accepted", acceptedAt: run.acceptedAt });
  const end = await waitForEnd(call, runId, { timeoutMs: null, lookUp: false });
  return end === null ? undefined : finalAnswer(run, end);
}

/**
 * The session of a request: named by its key, by its id, or by whom it is to. That may be a key as well; anybody else
 * writes to the main session, because a pool has no channels whose groups have sessions of their own. An id that no
 * session has is a new session's, which is found by that id again.
 */
async function targetOf({ gateway, tenant }: Call, params: z.infer<typeof agentParams>): Promise<SessionKey> {
  const { catalog } = gateway;
  const [id, to] = [params.sessionId?.trim() ?? "", params.to?.trim() ?? ""];
  const key = params.sessionKey ?? (id === "" && /^agent:/i.test(to) ? to : undefined);
  if (key !== undefined) return resolveSession(catalog, key, params.agentId);
  const agent = resolveAgent(catalog, params);
  if (id === "") return resolveSession(catalog, `agent:${agent.id}:${catalog.mainKey}`);
  const agentId = params.agentId === undefined ? undefined : agent.id;
  const { sessions } = await gateway.sessions.list(tenant, { sessionId: id, agentId, limit: 1 });
  return sessions[0]?.key ?? resolveSession(catalog, `agent:${agent.id}:explicit:${id}`);
}

function optionsOf(params: z.infer<typeof agentParams>, connId: string): RunOptions {
  const { model, provider, thinking, timeout } = params;
  return {
    ...(model === undefined
      ? {}
      : { model: provider === undefined || model.includes("/") ? model : `${provider}/${model}` }),
    ...(thinking === undefined ? {} : { thinking: levelOf(thinking) }),
    ...(timeout === undefined || timeout === 0 ? {} : { timeoutMs: timeout * 1_000 }),
    requesterConnId: connId,
  };
}

/** @throws HAError REQUEST_INVALID for a word that is no level; one that the model lacks is the worker's to leave out */
function levelOf(thinking: string): string {
  const level = thinkingLevelOf(thinking);
  if (level !== null) return level;
  throw new HAError("REQUEST_INVALID", `Invalid thinking level. Use one of: ${THINKING_LEVELS.join(", ")}.`);
}

function finalAnswer(run: { readonly runId: string; readonly sessionKey: string }, end: RunEnd): unknown {
  const { payload, failed } = agentAnswer(run, end);
  if (!failed) return payload;
  return new Failed(payload, { code: "UNAVAILABLE", message: String(payload.summary) });
}
