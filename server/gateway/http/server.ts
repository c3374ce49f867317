import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { HAError } from "../../core/errors.ts";
import { notFound, refusalOf, sendJson } from "./answer.ts";
import { ASSISTANT_MEDIA_PATH } from "./assistant-media.ts";
import { answerProbe, isProbe, type ProbeParts } from "./probes.ts";

/** Answers one request of its part of the paths. It may reject: the client is then told of an internal error. */
export type HttpHandler = (path: string, request: IncomingMessage, response: ServerResponse) => Promise<void>;

export interface HttpParts extends ProbeParts {
  /** Time for a request to arrive as a whole, in milliseconds. */
  readonly requestMs: number;
  readonly upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
  /** `/v1/…`. */
  readonly openai: HttpHandler;
  /** Attachments of messages (assistant-media.ts). */
  readonly media: HttpHandler;
  /** Whatever is nobody else's. */
  readonly controlUi: HttpHandler;
}

/** Time between two looks for requests that take too long to arrive, in milliseconds. */
const LOOK_EVERY_MS = 5_000;

/** A node HTTP server with all that a gateway serves; upgrades go to the WebSocket side. One for every port. */
export function gatewayServer(parts: HttpParts): Server {
  /** The answer that a connection is being given: nothing else may be written to it once that has begun. */
  const answers = new WeakMap<Duplex, ServerResponse>();
  const server = createServer(
    {
      keepAlive: true, // a peer that vanished while it waited for a run is noticed
      keepAliveInitialDelay: 30_000,
      keepAliveTimeout: 5_000,
      headersTimeout: parts.requestMs,
      requestTimeout: parts.requestMs,
      connectionsCheckingInterval: Math.min(LOOK_EVERY_MS, parts.requestMs),
    },
    (request, response) => {
      answers.set(request.socket, response);
      response.setHeader("X-Content-Type-Options", "nosniff");
      response.setHeader("Referrer-Policy", "no-referrer");
      answer(parts, request, response).catch(() => {
        if (!response.headersSent) sendJson(response, 500, INTERNAL);
        else response.destroy();
      });
    },
  );
  server.on("upgrade", (request, socket, head) => parts.upgrade(request, socket, head));
  server.on("clientError", (error, socket) => {
    const refusal = answers.get(socket)?.headersSent === true ? null : refusalOf(error);
    if (refusal === null || !socket.writable) {
      socket.destroy(error);
      return;
    }
    socket.on("error", () => undefined);
    socket.end(refusal, () => socket.destroy());
  });
  return server;
}

const INTERNAL = { error: { message: "internal error", type: "api_error" } };

async function answer(parts: HttpParts, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = (request.url ?? "/").split("?", 1)[0] ?? "/";
  if (isProbe(path)) return answerProbe(parts, path, request, response);
  if (path === "/v1" || path.startsWith("/v1/")) return parts.openai(path, request, response);
  if (path === ASSISTANT_MEDIA_PATH) return parts.media(path, request, response);
  // OpenClaw's other interfaces: a page in their place would look like an answer.
  if (/^\/(?:api|tools|plugins|hooks|j)(?:\/|$)/.test(path)) return notFound(response);
  return parts.controlUi(path, request, response);
}

/**
 * Listens and answers the port. `shared`: with SO_REUSEPORT, beside the other gateways of the machine.
 * @throws HAError CONFIG_INVALID when the port is taken or may not be used
 */
export async function listen(server: Server, host: string, port: number, shared: boolean): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port, reusePort: shared, backlog: 1_024 }, () => {
      server.off("error", reject);
      resolve();
    });
  }).catch((error: unknown) => {
    const code = (error as NodeJS.ErrnoException).code ?? "";
    throw new HAError("CONFIG_INVALID", `cannot listen on ${host}:${port} (${code})`, { host, port, code });
  });
  return (server.address() as AddressInfo).port;
}
