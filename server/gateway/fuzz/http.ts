import { request } from "node:http";
import { connect } from "node:net";
import * as fc from "fast-check";
import type { FuzzTarget } from "./client.ts";

export interface HttpSent {
  readonly method: string;
  readonly path: string;
  readonly authorized: boolean;
  readonly type: string;
  readonly body: string;
}

const PATHS = [
  "/",
  "/healthz",
  "/readyz",
  "/startupz",
  "/metrics",
  "/v1/models",
  "/v1/models/openclaw",
  "/v1/chat/completions",
  "/v1/responses",
  "/tools/invoke",
  "/api/nope",
  "/../../etc/passwd",
  "/%2e%2e/%2e%2e/etc/passwd",
  "/index.html",
  "/assets/%00",
];

const bodies = fc.oneof(
  fc.constantFrom(
    "",
    "{",
    "null",
    '{"model":"openclaw","messages":[{"role":"user","content":"[[demo text=hi]] hi"}]}',
    '{"model":"openclaw","input":"[[demo text=hi]] hi","stream":true}',
  ),
  fc.json(),
  fc
    .record({
      model: fc.jsonValue(),
      messages: fc.jsonValue(),
      input: fc.jsonValue(),
      stream: fc.jsonValue(),
    })
    .map((body) => JSON.stringify(body)),
);

/** Requests to the paths that a gateway knows, and to some that it must not. */
export const httpRequests: fc.Arbitrary<HttpSent> = fc.record({
  method: fc.constantFrom("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"),
  path: fc.oneof({ weight: 5, arbitrary: fc.constantFrom(...PATHS) }, fc.webPath()),
  authorized: fc.boolean(),
  type: fc.constantFrom("application/json", "text/plain", "multipart/form-data"),
  body: bodies,
});

const ANSWER_MS = 20_000;

/** Sends it and looks at the answer. @throws Error when there is none in time, or it is the server's fault */
export function ask(target: FuzzTarget, sent: HttpSent): Promise<void> {
  const { hostname, port } = new URL(target.url);
  const headers = {
    "content-type": sent.type,
    ...(sent.authorized ? { authorization: `Bearer ${target.token}` } : {}),
  };
  return new Promise((resolve, reject) => {
    const call = request(
      { hostname, port, method: sent.method, path: sent.path, headers, agent: false, timeout: ANSWER_MS },
      (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (piece: string) => (text += piece));
        response.on("error", reject).on("end", () => {
          const status = response.statusCode ?? 0;
          if (status >= 500 && status !== 503) reject(new Error(`answered ${status}: ${text.slice(0, 200)}`));
          else if (target.secrets.some((secret) => text.includes(secret)))
            reject(new Error(`${status} tells a secret`));
          else resolve();
        });
      },
    );
    call.on("timeout", () => call.destroy(new Error(`no answer within ${ANSWER_MS} ms`)));
    call.on("error", reject);
    call.end(["GET", "HEAD"].includes(sent.method) ? undefined : sent.body);
  });
}

/** Bytes that are no HTTP, or only the beginning of it; the socket is left to the gateway for a moment, and then cut. */
export function blurt(target: FuzzTarget, bytes: Uint8Array): Promise<void> {
  const { hostname, port } = new URL(target.url);
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname, () => socket.write(bytes));
    socket.on("error", () => undefined).on("close", () => resolve());
    socket.resume();
    setTimeout(() => socket.destroy(), 20);
  });
}
