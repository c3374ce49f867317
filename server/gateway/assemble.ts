import { runAcceptor } from "./accept-run.ts";
import { authenticator } from "./authenticate.ts";
import { Backlog } from "./backlog.ts";
import { gatewayBodies } from "./bodies.ts";
import type { Connection } from "./connection.ts";
import type { GatewayContext, GatewayDeps } from "./context.ts";
import { OpenAnswers } from "./http/open-answers.ts";
import { Hub } from "./hub.ts";
import { optionCommands } from "./commands/option-commands.ts";
import { commandRegistry } from "./commands/registry.ts";
import { sessionCommands } from "./commands/session-commands.ts";
import { statusCommands } from "./commands/status-commands.ts";
import { absentMethods } from "./methods/absent.ts";
import { agentMethods } from "./methods/agent.ts";
import { catalogMethods } from "./methods/catalog.ts";
import { chatMethods } from "./methods/chat.ts";
import { historyMethods } from "./methods/history.ts";
import { compactMethods } from "./methods/compact.ts";
import { cronReadMethods } from "./methods/cron-read.ts";
import { cronWriteMethods } from "./methods/cron-write.ts";
import { methodRegistry } from "./methods/registry.ts";
import { sessionReadMethods } from "./methods/sessions-read.ts";
import { sessionResolveMethods } from "./methods/sessions-resolve.ts";
import { sessionWriteMethods } from "./methods/sessions-write.ts";
import { systemMethods } from "./methods/system.ts";
import { taskMethods } from "./methods/tasks.ts";
import { metricsRegistry } from "../metrics/registry.ts";
import { gatewayMetrics } from "./metrics.ts";
import { presence } from "./presence.ts";
import { DEFAULT_LIMITS } from "./protocol/limits.ts";
import { gatewayTenantLimits } from "./tenant-limits.ts";
import { sessionsFeed } from "./sessions-feed.ts";
import { TextPace } from "./text-pace.ts";

/** Puts the parts of a gateway together, without ports to listen on and without timers. */
export function assembleGateway(deps: GatewayDeps): {
  readonly gateway: GatewayContext;
  /** From now on no new work is taken; there is no way back. */
  readonly beginDraining: () => void;
} {
  const { bus, clock, logger, settings, sessions, catalog, random } = deps;
  const limits = { ...DEFAULT_LIMITS, ...settings.limits };
  const connections = new Set<Connection>();
  const state = { draining: false };
  const bodies = gatewayBodies(deps);
  const draining = (): boolean => state.draining;
  const backlog = new Backlog(limits, () => connections.size);
  const metrics = gatewayMetrics(deps.registry ?? metricsRegistry(settings.instance), {
    connections: () => connections.size,
    runViews: () => hub.runCount,
    waitingBytes: () => backlog.bytes,
    draining,
  });
  const hub = new Hub({
    bus,
    pace: new TextPace(clock, limits, backlog),
    bodies,
    clock,
    random,
    logger,
    metrics,
    feed: (tenant) => (audience) => sessionsFeed({ tenant, audience, sessions, catalog, clock }),
  });
  const tenantLimits = gatewayTenantLimits(deps);
  const gateway: GatewayContext = {
    ...deps,
    limits,
    tenantLimits,
    bodies,
    hub,
    backlog,
    metrics,
    connections,
    answers: new OpenAnswers(),
    draining,
    startedAt: clock.monotonic(),
    bootId: random.uuid(),
    authenticator: authenticator(deps.directory, clock, (found) =>
      tenantLimits.note(found.tenant, found.limits),
    ),
    acceptor: runAcceptor({ ...deps, bodies, limits, tenantLimits, metrics }),
    presence: presence({
      instance: settings.instance,
      version: settings.version,
      clock,
      hub: () => hub,
    }),
    commands: commandRegistry([statusCommands, sessionCommands, optionCommands]),
    methods: methodRegistry([
      systemMethods,
      catalogMethods,
      absentMethods,
      chatMethods,
      historyMethods,
      agentMethods,
      sessionReadMethods,
      sessionResolveMethods,
      sessionWriteMethods,
      compactMethods,
      cronReadMethods,
      cronWriteMethods,
      taskMethods,
    ]),
  };
  return { gateway, beginDraining: () => void (state.draining = true) };
}
