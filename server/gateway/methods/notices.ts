import type { SessionKey } from "../../core/ids.ts";
import type { Notice } from "../../core/run-event.ts";
import type { Call } from "./registry.ts";

type SessionReason = Extract<Notice, { type: "session" }>["reason"];

/**
 * Tells all gateways that a session changed. Where the bus is away, at least this one's connections hear of it; the
 * others see it when they read.
 */
export function tellSession(call: Call, sessionKey: SessionKey, reason: SessionReason): void {
  const notice: Notice = { type: "session", reason, sessionKey };
  call.gateway.bus.notify(call.tenant, notice).catch(() => call.hub.onNotice(notice));
}
