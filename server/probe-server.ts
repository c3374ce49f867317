import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { HAError } from "./core/errors.ts";

export interface ProbeOptions {
  readonly host: string;
  readonly port: number;
  /** What the process tells Prometheus. */
  readonly metrics: () => Promise<string>;
  /** Why the process may not be counted on now; empty when it may. */
  readonly failing: () => readonly string[];
}

export interface ProbeServer {
  readonly url: string;
  close(): Promise<void>;
}

/**
 * What supervisors and orchestrators ask of a process that serves no clients: `GET /healthz` (alive) and
 * `GET /readyz` (does its work; the body says why not), as on gateways, and `GET /metrics` (Prometheus text).
 * @throws HAError CONFIG_INVALID when the port is taken or may not be used
 */
export async function startProbeServer({ failing, host, metrics, port }: ProbeOptions): Promise<ProbeServer> {
  const server = createServer((request, response) => {
    const path = (request.url ?? "/").split("?", 1)[0];
    if (path === "/metrics" && request.method === "GET") {
      metrics().then(
        (text) =>
          response.writeHead(200, { "content-type": "text/plain; version=0.0.4; charset=utf-8" }).end(text),
        () => response.writeHead(500).end(),
      );
      return;
    }
    const reasons = path === "/readyz" ? failing() : [];
    const known = path === "/readyz" || path === "/healthz";
    const asked = request.method === "GET" || request.method === "HEAD";
    const status = !known ? 404 : !asked ? 405 : reasons.length > 0 ? 503 : 200;
    const body =
      known && asked ? { ok: reasons.length === 0, ...(reasons.length > 0 ? { failing: reasons } : {}) } : {};
    response.writeHead(status, {
      "content-type": "application/json",
      ...(status === 405 ? { allow: "GET, HEAD" } : {}),
    });
    response.end(request.method === "HEAD" ? undefined : JSON.stringify(body));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen({ host, port }, resolve);
  }).catch((error: unknown) => {
    const code = (error as NodeJS.ErrnoException).code ?? "";
    throw new HAError("CONFIG_INVALID", `cannot listen on ${host}:${port} (${code})`, { host, port, code });
  });
  return {
    url: `http://${host}:${(server.address() as AddressInfo).port}`,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}
