import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { HAError } from "../core/errors.ts";
import type { GatewayMetrics } from "./metrics.ts";
import type { Readiness } from "./readiness.ts";

export interface HttpParts {
  readonly readiness: Readiness;
  readonly metrics: GatewayMetrics;
  readonly version: string;
  readonly uptimeMs: () => number;
  readonly upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
}

type Answer = readonly [status: number, body: unknown];

/** A node HTTP server with the gateway's probes; upgrades go to the WebSocket side. One for every port. */
export function gatewayServer(parts: HttpParts): Server {
  const server = createServer({ keepAliveTimeout: 5_000, requestTimeout: 30_000 }, (request, response) => {
    answer(parts, request, response).catch(() => {
      if (!response.headersSent) json(response, 500, { error: { message: "internal error" } });
      else response.destroy();
    });
  });
  server.on("upgrade", (request, socket, head) => parts.upgrade(request, socket, head));
  return server;
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

async function answer(parts: HttpParts, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = (request.url ?? "/").split("?", 1)[0] ?? "/";
  const probe = PROBES.get(path);
  if (!probe) return json(response, 404, { error: { message: "Not Found", type: "not_found" } });
  if (request.method !== "GET" && request.method !== "HEAD") {
    response.setHeader("Allow", "GET, HEAD");
    return json(response, 405, { error: { message: "Method Not Allowed", type: "method_not_allowed" } });
  }
  if (path === "/metrics") {
    const text = await parts.metrics.text();
    return send(response, 200, "text/plain; version=0.0.4; charset=utf-8", text);
  }
  const [status, body] = await probe(parts);
  json(response, status, body);
}

const live = async (): Promise<Answer> => [200, { ok: true, status: "live" }];

const started = async ({ version, uptimeMs }: HttpParts): Promise<Answer> => [
  200,
  { ok: true, status: "started", version, uptimeMs: uptimeMs() },
];

const ready = async ({ readiness, uptimeMs }: HttpParts): Promise<Answer> => {
  const failing = await readiness.failing();
  return [failing.length === 0 ? 200 : 503, { ready: failing.length === 0, failing, uptimeMs: uptimeMs() }];
};

/** OpenClaw's probes under both of their names, and ours for Prometheus. */
const PROBES = new Map<string, (parts: HttpParts) => Promise<Answer>>([
  ["/health", live],
  ["/healthz", live],
  ["/ready", ready],
  ["/readyz", ready],
  ["/startup", started],
  ["/startupz", started],
  ["/metrics", live],
]);

const json = (response: ServerResponse, status: number, body: unknown): void =>
  send(response, status, "application/json; charset=utf-8", JSON.stringify(body));

/** Node leaves the body of an answer to HEAD out by itself. */
function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, {
    "Content-Type": type,
    "Cache-Control": "no-store",
    "Content-Length": Buffer.byteLength(body),
  });
  response.end(body);
}
