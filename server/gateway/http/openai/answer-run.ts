import type { IncomingMessage, ServerResponse } from "node:http";
import { HAError } from "../../../core/errors.ts";
import { type RunId, runId as asRunId, type SessionKey, type TenantId } from "../../../core/ids.ts";
import type { RunOptions, RunRecord } from "../../../core/run.ts";
import { isEnded } from "../../../core/run-state.ts";
import type { Principal } from "../../../ports/directory.ts";
import { abortRuns } from "../../abort-runs.ts";
import type { GatewayContext } from "../../context.ts";
import { hasScope } from "../../protocol/scopes.ts";
import { endOfRecord, type RunEnd } from "../../run-view.ts";
import type { TenantHub } from "../../tenant-hub.ts";
import { RunAnswer } from "./run-answer.ts";
import type { RunRequest } from "./run-request.ts";
import { header, targetOf } from "./target.ts";

/** One of the two interfaces that take runs. */
export interface RunApi {
  /** First part of the ids of its runs, which are those of its answers. */
  readonly prefix: string;
  /** First part of the names of its sessions. */
  readonly family: string;
  /** @throws HAError REQUEST_INVALID */
  readonly read: (body: unknown) => RunRequest;
}

export interface Asked {
  readonly api: RunApi;
  readonly asked: RunRequest;
  readonly principal: Principal;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** Longest `Idempotency-Key`; with the prefix it is the run's id. */
const KEY_MAX_LENGTH = 200;

/**
 * Makes the run, or finds the one that the key names, and answers with what becomes of it. Resolves when the response is
 * over.
 * @throws HAError for what was refused; nothing has been answered then
 */
export async function answerRun(
  gateway: GatewayContext,
  { api, asked, principal, request, response }: Asked,
): Promise<void> {
  const { tenant, tokenId } = principal;
  const key = idempotencyKey(request);
  const runId = asRunId(api.prefix + (key ?? gateway.random.uuid()));
  const options = optionsOf(asked, modelOverride(request, principal));
  const sessionKey = await sessionOf(gateway, tenant, request, asked, api.family, runId);
  const hub = await gateway.hub.ready(tenant);
  const startedAt = gateway.clock.monotonic();
  // From here on the run's events are followed: a fast worker may be done before the acceptance is known here.
  const early: { end: RunEnd | null } = { end: null };
  const unwatch = hub.onEnd(runId, (end) => (early.end = end));
  try {
    const { message, attachments } = asked;
    const { run, made } = await gateway.acceptor.accept({
      tenant,
      sessionKey,
      idempotencyKey: runId,
      message,
      attachments,
      options,
      traceparent: header(request.headers, "traceparent"),
    });
    gateway.metrics.acknowledged(gateway.clock.monotonic() - startedAt);
    if (made) hub.feed.changed(sessionKey, { reason: "send" });
    const onGivenUp = (): void => {
      if (key === undefined) abortGivenUp(gateway, hub, run);
    };
    if (response.destroyed) return onGivenUp();
    const answer = new RunAnswer({
      tokenId,
      run: { id: runId, createdAt: Math.floor(run.acceptedAt / 1_000), model: asked.model },
      form: asked.form,
      stream: asked.stream,
      response,
      onGivenUp,
    });
    const closed = new Promise<void>((resolve) => response.once("close", () => resolve()));
    const over = [hub.watch(runId, answer), gateway.answers.add(answer)];
    begin(hub, run, made, answer, early.end);
    await closed;
    for (const forget of over) forget();
  } finally {
    unwatch();
  }
}

function begin(hub: TenantHub, run: RunRecord, made: boolean, answer: RunAnswer, end: RunEnd | null): void {
  const { status } = run;
  if (end !== null) return answer.end(end);
  if (isEnded(status)) return answer.end(endOfRecord({ ...run, status }));
  // Null: its end was told meanwhile. The run watcher reads it from the ledger, as for anybody who waits.
  const followed = hub.track(run, null, made);
  if (followed !== null) answer.text(followed.view);
}

/** Nobody can come back for the answer. Where the ledger does not answer the run ends by itself. */
function abortGivenUp(gateway: GatewayContext, hub: TenantHub, { tenant, runId }: RunRecord): void {
  abortRuns({ gateway, hub, tenant }, { runId }).catch((error: unknown) =>
    gateway.logger.warn("gateway.http.abort_failed", { tenant, run: runId, error: String(error) }),
  );
}

function optionsOf({ instructions, sampling }: RunRequest, model: string | undefined): RunOptions {
  return {
    ...(model === undefined ? {} : { model }),
    ...(instructions === "" ? {} : { extraSystemPrompt: instructions }),
    ...(sampling === undefined ? {} : { sampling }),
  };
}

/** @throws HAError REQUEST_INVALID */
function idempotencyKey({ headers }: IncomingMessage): string | undefined {
  const key = header(headers, "idempotency-key");
  if (key === undefined || key.length <= KEY_MAX_LENGTH) return key;
  throw new HAError("REQUEST_INVALID", `Idempotency-Key: at most ${KEY_MAX_LENGTH} characters`);
}

/** `x-openclaw-model` is for operators who may change settings. @throws HAError FORBIDDEN */
function modelOverride({ headers }: IncomingMessage, { scopes }: Principal): string | undefined {
  const model = header(headers, "x-openclaw-model");
  if (model === undefined || hasScope(scopes, "operator.admin")) return model;
  throw new HAError("FORBIDDEN", "missing scope: operator.admin", { reason: "MISSING_SCOPE" });
}

/**
 * The session that was named, else that of the response which the request goes on from (an unknown one is ignored, as by
 * OpenClaw), else the request's own.
 * @throws HAError REQUEST_INVALID, STORE_UNAVAILABLE
 */
async function sessionOf(
  gateway: GatewayContext,
  tenant: TenantId,
  request: IncomingMessage,
  { model, user, previousId }: RunRequest,
  family: string,
  runId: RunId,
): Promise<SessionKey> {
  const target = targetOf(gateway.catalog, request.headers, { model, user, family, runId });
  if (target.named || previousId === undefined) return target.sessionKey;
  const previous = await gateway.ledger.get(tenant, asRunId(previousId));
  return previous?.agentId === target.agentId ? previous.sessionKey : target.sessionKey;
}
