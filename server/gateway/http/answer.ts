import type { IncomingMessage, ServerResponse } from "node:http";

const JSON_TYPE = "application/json; charset=utf-8";

/** Sends a whole JSON answer. Node leaves the body of an answer to HEAD out by itself. */
export const sendJson = (response: ServerResponse, status: number, body: unknown): void =>
  sendText(response, status, JSON_TYPE, JSON.stringify(body));

export function sendText(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, {
    "Content-Type": type,
    "Cache-Control": "no-store",
    "Content-Length": Buffer.byteLength(body),
  });
  response.end(body);
}

export const notFound = (response: ServerResponse): void =>
  sendJson(response, 404, { error: { message: "Not Found", type: "not_found" } });

export function methodNotAllowed(response: ServerResponse, allow: string): void {
  response.setHeader("Allow", allow);
  sendJson(response, 405, { error: { message: "Method Not Allowed", type: "method_not_allowed" } });
}

export const isRead = (request: IncomingMessage): boolean =>
  request.method === "GET" || request.method === "HEAD";

/**
 * What Node itself refuses, as one JSON answer instead of an empty one: headers that are too large, requests that never
 * end, bytes that are no HTTP. By status, and a message that names the next step.
 */
const REFUSALS: Readonly<Record<string, readonly [status: string, message: string]>> = {
  HPE_HEADER_OVERFLOW: ["431 Request Header Fields Too Large", "headers too large: at most 16 KiB in all"],
  ERR_HTTP_REQUEST_TIMEOUT: ["408 Request Timeout", "the request did not arrive in time; send it again"],
};
const NO_HTTP = ["400 Bad Request", "this is not a valid HTTP/1.1 request"] as const;

/** The answer to a connection whose request cannot be read, head and body; null where the peer has gone. */
export function refusalOf(error: Error): string | null {
  const code = (error as NodeJS.ErrnoException).code ?? "";
  if (code === "ECONNRESET" || code === "EPIPE") return null;
  const [status, message] = REFUSALS[code] ?? NO_HTTP;
  const body = JSON.stringify({ error: { message, type: "invalid_request_error" } });
  return [
    `HTTP/1.1 ${status}`,
    "Connection: close",
    `Content-Type: ${JSON_TYPE}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    "",
    body,
  ].join("\r\n");
}
