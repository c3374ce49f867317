import type { AgentCatalog } from "../../core/catalog.ts";
import type { GatewayContext } from "../context.ts";

/** The `health` answer, which is also part of `hello-ok`: what a client may show, without a read from any store. */
export function health(gateway: Pick<GatewayContext, "catalog" | "clock" | "draining" | "bus">): unknown {
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
