import type { IncomingMessage, ServerResponse } from "node:http";
import { asHAError, HAError } from "../../../core/errors.ts";
import type { Principal } from "../../../ports/directory.ts";
import type { GatewayContext } from "../../context.ts";
import type { Outcome } from "../../metrics.ts";
import { restarting } from "../../protocol/errors.ts";
import { hasScope, type Scope } from "../../protocol/scopes.ts";
import { methodNotAllowed, notFound, sendJson } from "../answer.ts";
import { principalOf } from "../bearer-token.ts";
import { jsonReader } from "../read-json.ts";
import type { HttpHandler } from "../server.ts";
import { answerRun, type RunApi } from "./answer-run.ts";
import { readChatRequest } from "./chat-completions.ts";
import { errorAnswer } from "./errors.ts";
import { answerModels } from "./models.ts";
import { readResponsesRequest } from "./responses.ts";

const RUN_APIS = new Map<string, RunApi>([
  ["/v1/chat/completions", { prefix: "chatcmpl_", family: "openai", read: readChatRequest }],
  ["/v1/responses", { prefix: "resp_", family: "openresponses", read: readResponsesRequest }],
]);

/**
 * OpenAI's interface as OpenClaw serves it: models, chat completions, responses. Every request is a run like any other:
 * accepted by one commit, executed by whichever worker, and followed here through the tenant's hub.
 *
 * A request without `Idempotency-Key` that its client gives up is aborted, since nobody can come back for it. One with a
 * key goes on: the same request under the same key, at any gateway, joins the run or gets its answer.
 */
export function openAiApi(gateway: GatewayContext): HttpHandler {
  const { limits, logger, metrics } = gateway;
  const bodies = jsonReader({ maxBytes: limits.httpBodyBytes, maxBytesAtOnce: limits.httpBodiesBytes });

  return async (path, request, response) => {
    const api = RUN_APIS.get(path);
    const models = path === "/v1/models" || path.startsWith("/v1/models/");
    if (!api && !models) return notFound(response);
    const allowed = api ? "POST" : "GET";
    if (request.method !== allowed && !(models && request.method === "HEAD")) {
      return methodNotAllowed(response, allowed);
    }
    const name = api ? `http ${path}` : "http /v1/models";
    let outcome: Outcome = "ok";
    try {
      const principal = await authorize(gateway, request, api ? "operator.write" : "operator.read");
      if (!api) return answerModels(gateway.catalog, path, response);
      checkRoom(gateway);
      const body = await bodies.read(request);
      await answerRun(gateway, { api, asked: api.read(body), principal, request, response });
    } catch (error) {
      outcome = refuse(request, response, error);
      const known = asHAError(error);
      if (known.code !== "INTERNAL") return;
      const { stack } = known.cause instanceof Error ? known.cause : known;
      logger.error("gateway.request.failed", { method: name, stack });
    } finally {
      metrics.request(name, outcome);
    }
  };
}

/** @throws HAError UNAUTHORIZED, FORBIDDEN, OVERLOADED, STORE_UNAVAILABLE */
async function authorize(
  gateway: GatewayContext,
  request: IncomingMessage,
  scope: Scope,
): Promise<Principal> {
  const principal = await principalOf(gateway, request);
  if (principal === null) throw new HAError("UNAUTHORIZED", "Unauthorized");
  if (hasScope(principal.scopes, scope)) return principal;
  throw new HAError("FORBIDDEN", `missing scope: ${scope}`, { reason: "MISSING_SCOPE" });
}

/** @throws HAError DRAINING, OVERLOADED */
function checkRoom({ answers, draining, limits }: GatewayContext): void {
  if (draining()) throw restarting();
  if (answers.size < limits.httpAnswers) return;
  throw new HAError("OVERLOADED", "too many requests wait for their runs at this gateway", {
    retryAfterMs: 1_000,
  });
}

function refuse(request: IncomingMessage, response: ServerResponse, thrown: unknown): Outcome {
  const { status, headers, error } = errorAnswer(thrown);
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return "unavailable";
  }
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  // A body that nobody will read must not come in all the same.
  if (!request.complete) response.setHeader("Connection", "close");
  sendJson(response, status, { error });
  if (status === 401 || status === 403) return "forbidden";
  return status >= 500 || status === 429 ? "unavailable" : "invalid";
}
