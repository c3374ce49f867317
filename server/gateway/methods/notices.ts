import type { SessionKey } from "../../core/ids.ts";
import type { Notice } from "../../core/run-event.ts";
import type { Call } from "./registry.ts";

type SessionReason = Extract<Notice, { type: "session" }>["reason"];

/**
 * Tells all gateways of a change. Where the bus is away, at least this one's connections hear of it; the others see it
 * when they read.
 */
export function tell(call: Call, notice: Notice): void {
  call.gateway.bus.notify(call.tenant, notice).catch(() => call.hub.onNotice(notice));
}

/** Tells all gateways that a session changed. */
export const tellSession = (call: Call, sessionKey: SessionKey, reason: SessionReason): void =>
  tell(call, { type: "session", reason, sessionKey });
