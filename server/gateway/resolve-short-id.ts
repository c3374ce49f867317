import { z } from "zod";
import type { AgentId, SessionKey } from "../core/ids.ts";
import type { Call } from "./methods/registry.ts";
import { resolveAgent } from "./methods/params.ts";

/** The beginning of the UUID in a dashboard session's key, as addresses of the Control UI carry it. */
export const shortIdText = z.string().regex(/^[0-9a-f]{8,32}$/i, "must be 8-32 hexadecimal characters");

/** Candidates that are told where a short id fits several sessions. */
const CANDIDATES_MAX = 10;

export interface ShortIdMatch {
  readonly key: SessionKey;
  readonly agentId: AgentId;
  readonly displayName?: string;
}

/** Sessions whose key ends in a UUID that begins with these digits: a range of keys for each agent, no search. */
export async function resolveShortId(
  { gateway, tenant }: Call,
  shortId: string,
  agentId?: string,
): Promise<readonly ShortIdMatch[]> {
  const { catalog, sessions } = gateway;
  const agents = agentId === undefined ? catalog.agents : [resolveAgent(catalog, { agentId })];
  const uuid = uuidPrefix(shortId.toLowerCase());
  const pages = await Promise.all(
    agents.map(({ id }) => sessions.withPrefix(tenant, `agent:${id}:dashboard:${uuid}`, CANDIDATES_MAX)),
  );
  return pages
    .flat()
    .slice(0, CANDIDATES_MAX)
    .map(({ key, agentId: agent, label, derivedTitle }) => {
      const displayName = label ?? derivedTitle;
      return { key, agentId: agent, ...(displayName === null ? {} : { displayName }) };
    });
}

/** The digits with the dashes of a UUID between them. */
function uuidPrefix(digits: string): string {
  const parts = [digits.slice(0, 8), digits.slice(8, 12), digits.slice(12, 16), digits.slice(16, 20)];
  return [...parts, digits.slice(20)].filter((part) => part !== "").join("-");
}
