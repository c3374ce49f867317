import { type AgentCatalog, type AgentSpec, findAgent } from "../../core/catalog.ts";
import { agentOfSessionKey } from "../../core/session-key.ts";
import { resolveSession } from "../accept-run.ts";
import { unknownAgent } from "../protocol/errors.ts";

/**
 * The agent that a request is about: named, or that of its session, or the default one.
 * @throws HAError REQUEST_INVALID for an agent that is not configured
 */
export function resolveAgent(
  catalog: AgentCatalog,
  params: { readonly agentId?: string | undefined; readonly sessionKey?: string | undefined },
): AgentSpec {
  const id =
    params.agentId?.trim().toLowerCase() ??
    (params.sessionKey === undefined
      ? catalog.defaultAgentId
      : agentOfSessionKey(resolveSession(catalog, params.sessionKey)));
  const agent = findAgent(catalog, id);
  if (!agent) throw unknownAgent(id);
  return agent;
}
