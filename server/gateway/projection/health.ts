import type { AgentCatalog } from "../../core/catalog.ts";
import type { TenantId } from "../../core/ids.ts";
import type { SessionQuery } from "../../ports/session-store.ts";
import type { GatewayContext } from "../context.ts";

/** Sessions that `health` and `status` name. */
export const RECENT_SESSIONS = 5;

/** What `openclaw health` prints of a session store; it fails without one for each agent. */
interface SessionsSeen {
  readonly path: string;
  readonly count: number;
  readonly recent: readonly { readonly key: string; readonly updatedAt: number; readonly age: number }[];
}

/** What `hello-ok` and the event `health` tell: what a client may show, without a read from any store. */
export function health(gateway: Pick<GatewayContext, "catalog" | "clock" | "draining" | "bus">) {
  const { catalog, clock } = gateway;
  return {
    ok: !gateway.draining(),
    ts: clock.now(),
    durationMs: 0,
    plugins: { loaded: [], errors: [], unavailable: [] },
    channels: {},
    channelOrder: [],
    channelLabels: {},
    heartbeatSeconds: 0,
    defaultAgentId: catalog.defaultAgentId,
    agents: catalog.agents.map((agent) => ({
      agentId: agent.id,
      isDefault: agent.id === catalog.defaultAgentId,
      heartbeat: { enabled: false },
    })),
    liveEvents: gateway.bus.healthy() ? "live" : "delayed",
  };
}

/**
 * The answer of the method `health`: as above, with the sessions of each agent. `reader` is null for a connection that
 * may not read them. That Postgres is away is said in the answer, which comes all the same.
 */
export async function healthWithSessions(gateway: GatewayContext, reader: TenantId | null): Promise<unknown> {
  const answer = health(gateway);
  const seen = (query: Omit<SessionQuery, "limit"> = {}) =>
    reader === null ? Promise.resolve(sessionsSeen("")) : storedSessions(gateway, reader, query);
  const [sessions, ...ofAgents] = await Promise.all([
    seen(),
    ...gateway.catalog.agents.map(({ id }) => seen({ agentId: id })),
  ]);
  const agents = answer.agents.map((agent, index) => ({ ...agent, sessions: ofAgents[index] }));
  return { ...answer, agents, sessions };
}

const sessionsSeen = (path: string): SessionsSeen => ({ path, count: 0, recent: [] });

async function storedSessions(
  { clock, sessions }: GatewayContext,
  tenant: TenantId,
  query: Omit<SessionQuery, "limit">,
): Promise<SessionsSeen> {
  try {
    const { sessions: newest, total } = await sessions.list(tenant, { ...query, limit: RECENT_SESSIONS });
    const now = clock.now();
    const recent = newest.map(({ key, updatedAt }) => ({
      key,
      updatedAt,
      age: Math.max(0, now - updatedAt),
    }));
    return { path: "PostgreSQL", count: total, recent };
  } catch {
    return sessionsSeen("PostgreSQL does not answer");
  }
}

/** Where a client finds the main session. */
export const sessionDefaults = (catalog: AgentCatalog): unknown => ({
  defaultAgentId: catalog.defaultAgentId,
  modelConfigured: catalog.models.length > 0,
  ownership: "sole",
  selectionRequired: false,
  mainKey: catalog.mainKey,
  mainSessionKey: `agent:${catalog.defaultAgentId}:${catalog.mainKey}`,
  scope: "per-sender",
});
