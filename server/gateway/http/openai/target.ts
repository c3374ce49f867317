import { hash } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { type AgentCatalog, findAgent } from "../../../core/catalog.ts";
import { HAError } from "../../../core/errors.ts";
import type { AgentId, SessionKey } from "../../../core/ids.ts";
import { agentOfSessionKey } from "../../../core/session-key.ts";
import { resolveSession } from "../../accept-run.ts";

/** Whom a request talks to, and where. */
export interface Target {
  readonly agentId: AgentId;
  readonly sessionKey: SessionKey;
  /** True: the session was named by `x-openclaw-session-key`. */
  readonly named: boolean;
}

/** `openclaw`, `openclaw/default`, `openclaw/<agent>` and OpenClaw's older spellings. */
const MODEL =
  /^(?:openclaw(?:[:/](?<agent>[a-z0-9][a-z0-9_-]{0,63}))?|agent:(?<old>[a-z0-9][a-z0-9_-]{0,63}))$/i;

const invalid = (message: string): HAError => new HAError("REQUEST_INVALID", message);

/** The agent that a model's name stands for; null for no agent's name. */
export function agentOfModel(catalog: AgentCatalog, model: string): string | null {
  const match = MODEL.exec(model.trim());
  if (!match) return null;
  const agent = (match.groups?.["agent"] ?? match.groups?.["old"] ?? "default").toLowerCase();
  return agent === "default" && !findAgent(catalog, agent) ? catalog.defaultAgentId : agent;
}

/**
 * The agent (`x-openclaw-agent-id`, else the model's) and the session: `x-openclaw-session-key`, else the user's own,
 * else one that only this request has.
 * @throws HAError REQUEST_INVALID for another model, an agent that is not configured, a session that is not to be used
 */
export function targetOf(
  catalog: AgentCatalog,
  headers: IncomingHttpHeaders,
  request: {
    readonly model: string;
    readonly user: string | undefined;
    /** `openai` or `openresponses`: first part of the session's name. */
    readonly family: string;
    /** Names the session of a request that has no other. */
    readonly runId: string;
  },
): Target {
  const ofModel = agentOfModel(catalog, request.model);
  if (ofModel === null) throw invalid("Invalid `model`. Use `openclaw` or `openclaw/<agentId>`.");
  const asked = header(headers, "x-openclaw-agent-id") ?? header(headers, "x-openclaw-agent");
  const agent = asked?.toLowerCase() ?? ofModel;
  if (!findAgent(catalog, agent)) throw invalid(`Unknown agent '${agent.slice(0, 80)}'.`);
  const explicit = header(headers, "x-openclaw-session-key");
  if (explicit !== undefined) {
    if (isReserved(explicit)) {
      throw invalid("`x-openclaw-session-key` cannot use reserved internal session namespaces.");
    }
    // The default agent stands for whichever agent a full key names.
    const own = asked !== undefined || agent !== catalog.defaultAgentId ? agent : undefined;
    const sessionKey = resolveSession(catalog, explicit, own);
    return { agentId: agentOfSessionKey(sessionKey), sessionKey, named: true };
  }
  const user = request.user?.trim();
  const { family, runId } = request;
  const name = user ? `${family}-user:${user}` : `${family}:${hash("sha256", runId, "hex").slice(0, 32)}`;
  const sessionKey = resolveSession(catalog, `agent:${agent}:${name}`);
  return { agentId: agent as AgentId, sessionKey, named: false };
}

/** Sessions of subagents, cron jobs and the agent client protocol belong to the program. */
const isReserved = (key: string): boolean =>
  /^(?:agent:[^:]*:)?(?:subagent|cron|acp):/.test(key.trim().toLowerCase());

export function header(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name];
  return (Array.isArray(value) ? value[0] : value)?.trim() || undefined;
}
