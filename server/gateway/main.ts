import type { Server } from "node:http";
import type { Clock } from "../ports/clock.ts";
import { assembleGateway } from "./assemble.ts";
import type { GatewayContext, GatewayDeps } from "./context.ts";
import { drainGateway } from "./drain.ts";
import { assistantMedia } from "./http/assistant-media.ts";
import { controlUi } from "./http/control-ui/control-ui.ts";
import { TICK_MS } from "./http/open-answers.ts";
import { openAiApi } from "./http/openai/api.ts";
import { gatewayServer, listen } from "./http/server.ts";
import { health } from "./projection/health.ts";
import { openEvent } from "./protocol/frames.ts";
import { readiness } from "./readiness.ts";
import { watchRuns } from "./run-watcher.ts";
import { watchAccess } from "./watch-access.ts";
import { gatewaySockets } from "./sockets.ts";

export type { GatewayDeps, GatewaySettings } from "./context.ts";

export interface GatewayHandle {
  /** `ws://host:port` of the gateway's own port. */
  readonly url: string;
  readonly port: number;
  /** Connected clients. */
  connections(): number;
  /**
   * Stops taking work, answers what is under way, sends the clients away (`shutdown`, close 1012) and ends.
   * Calling it twice is the same as once.
   */
  drain(): Promise<void>;
  /** Ends at once: sockets are cut. Nothing acknowledged is lost. */
  close(): Promise<void>;
}

/** How often the shared timers look for late handshakes, presence changes and a change of health. */
const HOUSEKEEPING_MS = 1_000;

/**
 * Starts a gateway: one process that serves any client of any tenant. It holds no state that another gateway could
 * not build up again from Postgres and the bus.
 * @throws HAError CONFIG_INVALID when a port cannot be had
 */
export async function startGateway(deps: GatewayDeps): Promise<GatewayHandle> {
  const { ledger, bus, clock, logger, settings } = deps;
  const { gateway, beginDraining } = assembleGateway(deps);
  const { hub, limits, metrics, draining, startedAt } = gateway;

  const sockets = gatewaySockets(gateway);
  const parts = {
    readiness: readiness({ ledger, clock, draining }),
    metrics,
    version: settings.version,
    uptimeMs: () => Math.round(clock.monotonic() - startedAt),
    requestMs: limits.httpRequestMs,
    upgrade: sockets.upgrade,
    openai: openAiApi(gateway),
    media: assistantMedia(gateway),
    controlUi: controlUi(settings.controlUi ?? null),
  };
  const own = gatewayServer(parts);
  const port = await listen(own, settings.host, settings.port, false);
  const shared = settings.sharedPort === undefined ? null : gatewayServer(parts);
  if (shared) {
    await listen(shared, settings.host, settings.sharedPort ?? 0, true).catch(async (error: unknown) => {
      await closeServer(own);
      throw error;
    });
  }

  const stop = new AbortController();
  const loops = [
    watchRuns({ hub, ledger, bus, clock, logger }, stop.signal),
    watchAccess(gateway, stop.signal),
    every(clock, limits.pingIntervalMs, stop.signal, sockets.pingAll),
    every(clock, limits.tickIntervalMs, stop.signal, () => broadcast(gateway, "tick", { ts: clock.now() })),
    every(clock, TICK_MS, stop.signal, () => gateway.answers.tick()),
    every(clock, HOUSEKEEPING_MS, stop.signal, housekeeper(gateway, sockets.cutLateHandshakes)),
  ];

  let ending: Promise<void> | null = null;
  const end = async (): Promise<void> => {
    beginDraining();
    stop.abort();
    gateway.answers.abandon();
    sockets.terminateAll();
    await Promise.all([closeServer(own), shared && closeServer(shared), hub.close(), ...loops]);
  };
  const { host } = settings;
  logger.info("gateway.listening", { host, port, sharedPort: settings.sharedPort });
  return {
    url: `ws://${host.includes(":") ? `[${host}]` : host}:${port}`,
    port,
    connections: () => gateway.connections.size,
    drain: () =>
      (ending ??= (async () => {
        beginDraining();
        // The kernel gives no more connections of the shared port to a process that does not listen there.
        shared?.close();
        await drainGateway(gateway);
        await end();
      })()),
    close: async () => {
      stop.abort();
      await Promise.all([end(), ending]);
    },
  };
}

/** Calls `work` every `ms` until the signal aborts; one timer for all sockets. */
async function every(clock: Clock, ms: number, signal: AbortSignal, work: () => void): Promise<void> {
  while (!signal.aborted) {
    await clock.sleep(ms, signal);
    if (!signal.aborted) work();
  }
}

/** One event to every connected client, whatever its tenant. */
export function broadcast(gateway: GatewayContext, event: string, payload: unknown): void {
  const encoded = openEvent(event, payload);
  for (const connection of gateway.connections) {
    if (connection.connected) connection.outbox.event(encoded, event !== "shutdown");
  }
}

/** What is looked after once a second: late handshakes, presence, and whether live events come at once or late. */
function housekeeper(gateway: GatewayContext, cutLateHandshakes: () => void): () => void {
  let busHealthy = gateway.bus.healthy();
  return () => {
    cutLateHandshakes();
    gateway.presence.tell();
    if (gateway.bus.healthy() === busHealthy) return;
    busHealthy = gateway.bus.healthy();
    broadcast(gateway, "health", health(gateway));
  };
}

async function closeServer(server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
