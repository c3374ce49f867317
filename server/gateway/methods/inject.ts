import { HAError } from "../../core/errors.ts";
import type { SessionKey } from "../../core/ids.ts";
import { agentOfSessionKey } from "../../core/session-key.ts";
import type { TranscriptMessage } from "../../core/transcript.ts";
import { sessionMessage } from "../projection/transcript-row.ts";
import { openEvent } from "../protocol/frames.ts";
import { tellSession } from "./notices.ts";
import type { Call } from "./registry.ts";

/**
 * `chat.inject`: appends an assistant row that no model wrote. This gateway's connections get the row itself, those
 * of others a `sessions.changed`, upon which they read it.
 * @throws HAError NOT_FOUND for a session that does not exist
 */
export async function injectMessage(
  call: Call,
  key: SessionKey,
  text: string,
  label: string | undefined,
): Promise<{ ok: true; messageId: string }> {
  const { gateway, tenant, hub } = call;
  const messageId = gateway.random.uuid();
  const message: TranscriptMessage = {
    role: "assistant",
    content: [{ type: "text", text: label === undefined ? text : `[${label}]\n\n${text}` }],
    timestamp: gateway.clock.now(),
    stopReason: "stop",
    provider: "openclaw",
    model: "gateway-injected",
    usage: { input: 0, output: 0, totalTokens: 0 },
  };
  const body = await gateway.bodies.store(tenant, message);
  const row = await gateway.sessions.append(tenant, key, { messageId, body });
  if (row === null) throw new HAError("NOT_FOUND", `session not found: ${key}`, { sessionKey: key });
  const event = openEvent("session.message", sessionMessage(key, agentOfSessionKey(key), row, message));
  hub.audience.forEachRowReader(key, (listener) => hub.teller.send(listener, event, false));
  tellSession(call, key, "message");
  return { ok: true, messageId };
}
