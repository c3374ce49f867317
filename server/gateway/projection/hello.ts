import type { TenantId } from "../../core/ids.ts";
import { ATTACHMENT_MAX_BYTES, IMAGE_MAX_BYTES } from "../attachments.ts";
import type { Connection } from "../connection.ts";
import type { GatewayContext } from "../context.ts";
import { PROTOCOL_VERSION } from "../protocol/frames.ts";
import { health, sessionDefaults } from "./health.ts";

/** Every event that this gateway sends, and no other: clients call what is advertised. */
export const EVENTS = [
  "connect.challenge",
  "agent",
  "chat",
  "session.message",
  "sessions.changed",
  "cron",
  "presence",
  "tick",
  "health",
  "shutdown",
] as const;

/**
 * What clients ask for before they use a method (`features.capabilities`): `openclaw models list` insists on the first,
 * and the Control UI asks for metadata and models of a session rather than of an agent.
 */
const CAPABILITIES = [
  "published-model-catalog",
  "session-scoped-chat-metadata",
  "session-scoped-model-catalog",
  "session-unread-ack-contract",
] as const;

/** The answer to a good `connect` (protocol.md 2). */
export function helloOk(gateway: GatewayContext, connection: Connection, tenant: TenantId): unknown {
  const { limits, settings, presence, catalog, clock } = gateway;
  return {
    type: "hello-ok",
    protocol: PROTOCOL_VERSION,
    server: {
      version: settings.version,
      connId: connection.id,
      bootId: gateway.bootId,
      // The Control UI comes from a folder of the operator's: it need not be of the server's version. Without this it
      // reloads the page at its first reconnect, and waits for ever at the second.
      controlUiBuildSource: "configured",
    },
    features: { methods: [...gateway.methods.keys()], events: EVENTS, capabilities: CAPABILITIES },
    snapshot: {
      presence: connection.reads ? presence.list(tenant) : [],
      health: health(gateway),
      stateVersion: { presence: presence.version(), health: 1 },
      uptimeMs: Math.round(clock.monotonic() - gateway.startedAt),
      sessionDefaults: sessionDefaults(catalog),
      authMode: "token",
    },
    auth: { method: "token", role: "operator", scopes: connection.scopes },
    policy: {
      maxPayload: limits.frameBytes,
      maxBufferedBytes: limits.closeAboveBytes,
      tickIntervalMs: limits.tickIntervalMs,
      attachments: { maxBytes: ATTACHMENT_MAX_BYTES, maxImageBytes: IMAGE_MAX_BYTES },
    },
  };
}
