import { z } from "zod";
import { findAgent } from "../../core/catalog.ts";
import { defaultsOf } from "../projection/catalog.ts";
import { healthWithSessions, RECENT_SESSIONS } from "../projection/health.ts";
import { method, type Method } from "./registry.ts";

const anything = z.object({});

/** What the gateway says of itself; sessions alone are read from a store. */
export const systemMethods: readonly Method[] = [
  method({
    name: "health",
    scope: null,
    params: anything,
    handle: ({ gateway, connection, tenant }) =>
      healthWithSessions(gateway, connection.reads ? tenant : null),
  }),
  method({
    name: "status",
    scope: "operator.read",
    params: anything,
    async handle({ gateway, tenant }) {
      const { sessions, catalog, clock, settings } = gateway;
      const { sessions: recent, total } = await sessions.list(tenant, { limit: RECENT_SESSIONS });
      const now = clock.now();
      const memory = process.memoryUsage();
      return {
        runtimeVersion: settings.version,
        heartbeat: { defaultAgentId: catalog.defaultAgentId, agents: [] },
        channelSummary: [],
        queuedSystemEvents: [],
        tasks: { total: 0, active: 0, terminal: 0, failures: 0, byStatus: {}, byRuntime: {} },
        sessions: {
          paths: [],
          count: total,
          defaults: defaultsOf(catalog, findAgent(catalog, catalog.defaultAgentId)),
          recent: recent.map((session) => ({
            agentId: session.agentId,
            key: session.key,
            kind: "direct",
            sessionId: session.sessionId,
            updatedAt: session.updatedAt,
            age: Math.max(0, now - session.updatedAt),
            inputTokens: session.inputTokens,
            outputTokens: session.outputTokens,
          })),
          byAgent: [],
        },
        gateway: {
          instance: settings.instance,
          connections: gateway.connections.size,
          runs: gateway.hub.runCount,
          draining: gateway.draining(),
        },
        processMemory: { rssBytes: memory.rss, heapUsedBytes: memory.heapUsed },
      };
    },
  }),
  method({
    name: "system-presence",
    scope: "operator.read",
    params: anything,
    handle: ({ gateway, tenant }) => gateway.presence.list(tenant),
  }),
];
