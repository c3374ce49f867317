import type { SessionKey } from "../core/ids.ts";
import type { SessionPatch, SessionRecord } from "../core/session.ts";
import { agentOfSessionKey } from "../core/session-key.ts";
import { stopRuns } from "./abort-runs.ts";
import { tellSession } from "./methods/notices.ts";
import type { Call } from "./methods/registry.ts";

/**
 * Begins a new history; a session that is not there is made. What is under way belongs to the old history and is
 * stopped first, subagents with it. `requestId`: asked for again under the same one, nothing is reset twice, nor is
 * anything stopped that has begun since.
 */
export async function resetSession(
  call: Call,
  key: SessionKey,
  reason: string,
  requestId?: string,
): Promise<SessionRecord> {
  await stopRuns(call, { sessionKey: key, ...(requestId === undefined ? {} : { beforeReset: requestId }) });
  const session =
    (await call.gateway.sessions.reset(call.tenant, key, reason, requestId)) ??
    (await createSession(call, key, {})).session;
  tellSession(call, key, "reset");
  return session;
}

export const createSession = (
  { gateway, tenant }: Call,
  key: SessionKey,
  patch: SessionPatch,
): Promise<{ session: SessionRecord; created: boolean }> =>
  gateway.sessions.create(tenant, {
    key,
    agentId: agentOfSessionKey(key),
    sessionId: gateway.random.uuid(),
    createdVia: "operator",
    ...patch,
  });
