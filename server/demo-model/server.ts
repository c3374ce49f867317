import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { isHAError } from "../core/errors.ts";
import type { Logger } from "../ports/logger.ts";
import { type CallLog, callLog } from "./call-log.ts";
import { complete, requestTokens, streamEvents, wholeAnswer } from "./completion.ts";
import type { DemoDirective, DemoFailure } from "./directives.ts";
import { type ChatRequest, currentTurn, readChatRequest } from "./request.ts";
import type { DemoScript } from "./script.ts";

/** Largest request body; a context of two million tokens fits. */
const BODY_MAX_BYTES = 32 * 1024 * 1024;
/** Failing conversations whose tries are counted at once; the oldest is forgotten first. */
const COUNTED_FAILURES = 10_000;

/**
 * The demo model's HTTP interface:
 *
 * - `POST /v1/chat/completions` and `GET /v1/models` as OpenAI describes them, any key accepted
 * - `GET /healthz`
 * - `GET /__demo/calls` what it was asked (call-log.ts), `POST /__demo/reset` forgets it
 */
export function demoModelHandler(script: DemoScript, logger: Logger): RequestListener {
  const calls: CallLog = callLog(() => Date.now());
  /** How often a conversation has failed on purpose, for directives with `times`. */
  const failures = new Map<string, number>();

  const chat = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await readBody(request);
    if (body === null) return sendError(response, 413, "request too large");
    const chatRequest = parse(body);
    if (chatRequest === null) return sendError(response, 400, "not a chat completions request");
    const { userText, callsAnswered } = currentTurn(chatRequest.messages);
    const session = chatRequest.sessionHint ?? sessionHeader(request) ?? userText;
    const call = calls.begin(session, userText, chatRequest.messages.length);
    response.on("close", () => {
      call.end(response.headersSent ? response.statusCode : null, !response.writableFinished);
    });
    const cut = (): void => {
      // Ended here first: the close that follows must not be taken for the client's departure.
      call.end(response.headersSent ? response.statusCode : null, false);
      response.destroy();
    };
    const { directive, words } = script.directiveFor(userText, callsAnswered);
    const failure = dueFailure(directive, `${session}\n${chatRequest.messages.length}\n${userText}`);
    const gone = goneSignal(response, directive);
    if (directive.latency > 0) await pause(directive.latency, gone);
    if (directive.window !== null && requestTokens(chatRequest) > directive.window) {
      return sendStatus(response, TOO_LONG);
    }
    if (failure?.kind === "status") return sendStatus(response, failure);
    if (failure?.kind === "hang") return;
    if (failure?.kind === "disconnect" && failure.after === 0) return cut();
    const answer = complete(chatRequest, directive, words);
    if (chatRequest.stream) {
      const events = streamEvents(chatRequest, answer, directive.chunks);
      await sendStream(response, events, directive, failure, gone);
      if (failure?.kind === "disconnect") cut();
    } else {
      sendJson(response, 200, wholeAnswer(chatRequest, answer));
    }
  };

  /** The failure that this call is to have, or null when it has failed often enough. */
  const dueFailure = (directive: DemoDirective, conversation: string): DemoFailure | null => {
    if (directive.failure === null || directive.times === Number.POSITIVE_INFINITY) return directive.failure;
    const failed = failures.get(conversation) ?? 0;
    if (failed >= directive.times) return null;
    failures.set(conversation, failed + 1);
    if (failures.size > COUNTED_FAILURES) {
      const [oldest] = failures.keys();
      if (oldest !== undefined) failures.delete(oldest);
    }
    return directive.failure;
  };

  return (request, response) => {
    const path = (request.url ?? "/").split("?", 1)[0];
    switch (`${request.method} ${path}`) {
      case "POST /v1/chat/completions":
        chat(request, response).catch((error: unknown) => {
          if (isHAError(error, "REQUEST_INVALID")) return sendError(response, 400, error.message);
          if (response.destroyed || response.writableEnded) return; // the client left while it was being served
          logger.error("demo_model.call_failed", {
            error: error instanceof Error ? error.message : String(error),
          });
          return response.headersSent
            ? response.destroy()
            : sendError(response, 500, "the demo model failed");
        });
        return;
      case "GET /v1/models":
        return sendJson(
          response,
          200,
          '{"object":"list","data":[{"id":"demo","object":"model","created":1700000000,"owned_by":"openclaw-ha"}]}',
        );
      case "GET /healthz":
      case "HEAD /healthz":
        return sendJson(response, 200, '{"status":"ok"}');
      case "GET /__demo/calls":
        return sendJson(response, 200, JSON.stringify(calls.report()));
      case "POST /__demo/reset":
        calls.reset();
        failures.clear();
        return sendJson(response, 200, '{"reset":true}');
      default:
        return sendError(response, 404, `no such resource: ${request.method} ${path}`);
    }
  };
}

/** Sends the events at the directive's pace; stops without an end where the answer is to be cut or to stall. */
async function sendStream(
  response: ServerResponse,
  events: readonly string[],
  directive: DemoDirective,
  failure: DemoFailure | null,
  gone: AbortSignal | null,
): Promise<void> {
  const limit = failure !== null && "after" in failure ? failure.after : null;
  if (directive.delay === 0 && limit === null) {
    const body = Buffer.from(events.join(""));
    response.writeHead(200, { "content-type": "text/event-stream", "content-length": body.length }).end(body);
    return;
  }
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.flushHeaders();
  for (const [i, event] of events.entries()) {
    if (i === limit) break;
    if (i > 0 && directive.delay > 0) await pause(directive.delay, gone);
    if (response.destroyed) return;
    // The write's callback: what was sent before the cut must have left this process.
    await new Promise<void>((resolve) => {
      response.write(event, () => resolve());
    });
  }
  if (limit === null || failure?.kind === "truncate") response.end();
}

/** Aborts when the client leaves. Null where nothing will be waited for: a listener per fast call is not free. */
function goneSignal(response: ServerResponse, directive: DemoDirective): AbortSignal | null {
  if (directive.latency === 0 && directive.delay === 0) return null;
  const controller = new AbortController();
  response.on("close", () => controller.abort());
  return controller.signal;
}

/** @throws AbortError when the client leaves meanwhile */
async function pause(ms: number, gone: AbortSignal | null): Promise<void> {
  await sleep(ms, undefined, gone === null ? undefined : { signal: gone });
}

function readBody(request: IncomingMessage): Promise<Buffer | null> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = [];
    let bytes = 0;
    request.on("data", (piece: Buffer) => {
      bytes += piece.length;
      if (bytes <= BODY_MAX_BYTES) pieces.push(piece);
    });
    request.on("end", () => {
      if (bytes > BODY_MAX_BYTES) resolve(null);
      else resolve(pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces));
    });
    request.on("error", reject);
  });
}

function parse(body: Buffer): ChatRequest | null {
  try {
    return readChatRequest(JSON.parse(body.toString()));
  } catch {
    return null;
  }
}

/** Names of the headers by which OpenAI-compatible clients say which conversation a call belongs to. */
function sessionHeader(request: IncomingMessage): string | null {
  const value = request.headers["x-session-affinity"] ?? request.headers["session_id"];
  return typeof value === "string" ? value : null;
}

function sendJson(response: ServerResponse, status: number, json: string, headers = {}): void {
  const body = Buffer.from(json);
  response
    .writeHead(status, { "content-type": "application/json", "content-length": body.length, ...headers })
    .end(body);
}

function sendError(response: ServerResponse, status: number, message: string): void {
  sendJson(
    response,
    status,
    JSON.stringify({ error: { message, type: "invalid_request_error", code: null } }),
  );
}

/** In OpenAI's words. */
const TOO_LONG: DemoFailure & { kind: "status" } = {
  kind: "status",
  status: 400,
  code: "context_length_exceeded",
  message: "This model's maximum context length is exceeded by the request.",
  retryAfterSeconds: null,
};

function sendStatus(response: ServerResponse, failure: DemoFailure & { kind: "status" }): void {
  const { status, code, retryAfterSeconds } = failure;
  const message = failure.message ?? `the demo model was told to answer ${status}`;
  const error = { message, type: status === 429 ? "rate_limit_error" : "demo_error", code };
  sendJson(
    response,
    status,
    JSON.stringify({ error }),
    retryAfterSeconds === null ? {} : { "retry-after": String(retryAfterSeconds) },
  );
}
