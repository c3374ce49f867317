import { HAError } from "../../core/errors.ts";
import type { SessionKey } from "../../core/ids.ts";
import { agentOfSessionKey } from "../../core/session-key.ts";
import type { TranscriptMessage } from "../../core/transcript.ts";
import { tell } from "./notices.ts";
import type { Call } from "./registry.ts";

/**
 * `chat.inject`: appends an assistant row that no model wrote, and tells it to all gateways' connections.
 * @throws HAError NOT_FOUND for a session that does not exist
 */
export async function injectMessage(
  call: Call,
  key: SessionKey,
  text: string,
  label: string | undefined,
): Promise<{ ok: true; messageId: string }> {
  const { gateway, tenant } = call;
  const messageId = gateway.random.uuid();
  const message: TranscriptMessage = {
    role: "assistant",
    content: [{ type: "text", text: label === undefined ? text : `[${label}]\n\n${text}` }],
    timestamp: gateway.clock.now(),
    stopReason: "stop",
    provider: "openclaw",
    model: "gateway-injected",
    usage: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, totalTokens: 0 },
  };
  const body = await gateway.bodies.store(tenant, message);
  const row = await gateway.sessions.append(tenant, key, { messageId, body });
  if (row === null) throw new HAError("NOT_FOUND", `session not found: ${key}`, { sessionKey: key });
  tell(call, { type: "injected", sessionKey: key, agentId: agentOfSessionKey(key), row });
  return { ok: true, messageId };
}
