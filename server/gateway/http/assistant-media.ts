import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { isHAError } from "../../core/errors.ts";
import type { TenantId } from "../../core/ids.ts";
import { sha256OfMedia } from "../../core/media.ts";
import { objectKey } from "../../core/object-key.ts";
import type { GatewayContext } from "../context.ts";
import { hasScope } from "../protocol/scopes.ts";
import { isRead, methodNotAllowed, notFound, sendJson } from "./answer.ts";
import { principalOf } from "./bearer-token.ts";
import { type MediaTickets, mediaTickets } from "./media-tickets.ts";
import type { HttpHandler } from "./server.ts";

export const ASSISTANT_MEDIA_PATH = "/__openclaw__/assistant-media";

/** What is shown by a browser; anything else is a download. By the name that the row gave it, and never sniffed. */
const SHOWN: Readonly<Record<string, string>> = {
  png: "image/png",
  jpg: "image/jpeg",
  gif: "image/gif",
  webp: "image/webp",
  txt: "text/plain; charset=utf-8",
};

/**
 * Attachments for the Control UI, as OpenClaw serves them: `?source=media://inbound/…&meta=1` with a token answers what
 * there is and a ticket, and the same address with `mediaTicket` answers the bytes. Of the token's tenant alone.
 */
export function assistantMedia(gateway: GatewayContext): HttpHandler {
  const { clock, directory, random } = gateway;
  const tickets = mediaTickets(clock, () => directory.sharedSecret("media-ticket", random.bytes(32)));
  return async (_path, request, response) => {
    if (!isRead(request)) return methodNotAllowed(response, "GET, HEAD");
    const query = new URL(request.url ?? "/", "http://localhost").searchParams;
    const source = query.get("source") ?? "";
    const sha256 = sha256OfMedia(source);
    if (sha256 === null) return notFound(response);
    try {
      const isMeta = query.get("meta") === "1";
      const ticket = isMeta ? null : query.get("mediaTicket");
      const tenant = ticket === null ? await ofToken(gateway, request) : await tickets.check(ticket, source);
      if (tenant === null && ticket !== null) return notFound(response);
      if (tenant === null) {
        return sendJson(response, 401, { error: { message: "Unauthorized", type: "unauthorized" } });
      }
      const object = { key: objectKey(tenant, sha256), source };
      if (isMeta) await sendMeta(gateway, tickets, tenant, object, response);
      else await sendBytes(gateway, object, request, response);
    } catch (error) {
      if (!isHAError(error) || !error.retryable || response.headersSent) throw error;
      response.setHeader("Retry-After", "1");
      sendJson(response, 503, {
        error: { message: "the attachment cannot be read now", type: "unavailable" },
      });
    }
  };
}

async function ofToken(gateway: GatewayContext, request: IncomingMessage): Promise<TenantId | null> {
  const principal = await principalOf(gateway, request);
  return principal !== null && hasScope(principal.scopes, "operator.read") ? principal.tenant : null;
}

interface MediaObject {
  readonly key: string;
  readonly source: string;
}

async function sendMeta(
  { objects }: GatewayContext,
  tickets: MediaTickets,
  tenant: TenantId,
  { key, source }: MediaObject,
  response: ServerResponse,
): Promise<void> {
  const found = await objects.head(key);
  if (found === null) {
    return sendJson(response, 200, { available: false, code: "file-not-found", reason: "File not found" });
  }
  const ticket = await tickets.issue(tenant, source);
  sendJson(response, 200, {
    available: true,
    mimeType: typeOf(source),
    sizeBytes: found.bytes,
    ...ticket,
  });
}

async function sendBytes(
  { objects }: GatewayContext,
  { key, source }: MediaObject,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const found = await objects.head(key);
  if (found === null) return notFound(response);
  const isShown = SHOWN[extensionOf(source)] !== undefined;
  response.writeHead(200, {
    "Content-Type": typeOf(source),
    "Content-Length": found.bytes,
    "Content-Disposition": isShown ? "inline" : "attachment",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cache-Control": "private, max-age=300",
  });
  if (request.method === "HEAD") return void response.end();
  const stream = await objects.getStream(key);
  if (stream === null) return void response.destroy();
  await pipeline(Readable.from(stream), response);
}

const extensionOf = (source: string): string => source.slice(source.lastIndexOf(".") + 1);
const typeOf = (source: string): string => SHOWN[extensionOf(source)] ?? "application/octet-stream";
