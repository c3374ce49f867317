import type { Environment, InstanceConfig, InstanceRole } from "./config.ts";
import type { Logger } from "./ports/logger.ts";
import { type LoadReporterDeps, reportLoad } from "./report-load.ts";
import { startProbeServer, type ProbeServer } from "./probe-server.ts";
import type { Tracing } from "./ports/tracing.ts";
import { openTracing } from "./wiring-tracing.ts";
import { openPorts, openWorkerParts, type Ports } from "./wiring.ts";

export interface ServeOptions {
  readonly role: InstanceRole;
  readonly config: InstanceConfig;
  /** For what openclaw.json takes from the environment. */
  readonly env: Environment;
  readonly logger: Logger;
  /** Version of this program, as gateways tell it. */
  readonly version: string;
  /** SIGTERM: drain, then end. */
  readonly signal: AbortSignal;
  /** Told once the process does its work; a gateway with its address. */
  readonly onReady?: (listening: { readonly url: string | null }) => void;
}

/** A part of the process that can be ended in order. */
interface Served {
  readonly url: string | null;
  drain(): Promise<void>;
}

/**
 * Runs one process of the pool until the signal aborts and it has drained.
 * @throws HAError CONFIG_INVALID, also when its port is taken
 */
export async function serve(options: ServeOptions): Promise<void> {
  const { role, config, env, logger, signal } = options;
  const tracing = await openTracing(env, { role, instance: config.instance, version: options.version });
  const ports = await openPorts(config, logger, env);
  const served: Served[] = [];
  try {
    // Work is drained before what lets it in: the last one started ends first.
    if (role === "control" || role === "all") served.push(await serveControl(ports, options));
    if (role === "worker" || role === "all") served.push(await serveWorker(ports, tracing, options));
    if (role === "gateway" || role === "all") served.push(await serveGateway(ports, tracing, options));
    const url = served.find((part) => part.url !== null)?.url ?? null;
    logger.info("instance.ready", { role, url });
    options.onReady?.({ url });
    await aborted(signal);
    logger.info("instance.draining", { role });
  } finally {
    for (const part of served.toReversed()) await part.drain();
    await Promise.all([ports.close(), tracing.close()]);
  }
  logger.info("instance.ended", { role });
}

async function serveGateway(
  ports: Ports,
  tracing: Tracing,
  { config, role, version }: ServeOptions,
): Promise<Served> {
  const { startGateway } = await import("./gateway/main.ts");
  const { instance, host, port, sharedPort, controlUi } = config;
  const settings = {
    instance,
    version,
    host,
    port,
    sharedPort: sharedPort ?? undefined,
    controlUi,
    allowedOrigins: ports.allowedOrigins,
  };
  const gateway = await startGateway({ ...ports, tracing, settings });
  const load = reporter(ports, role, {
    instance,
    pool: "gateway",
    read: () => ({ busy: 0, slots: 0, connections: gateway.connections() }),
  });
  return { url: gateway.url, drain: () => together(gateway.drain(), load.stop()) };
}

async function serveWorker(ports: Ports, tracing: Tracing, options: ServeOptions): Promise<Served> {
  const { config, signal } = options;
  const { startWorker } = await import("./worker/main.ts");
  const { instance, pools, slots, drainGraceMs } = config;
  const parts = await openWorkerParts(config, { ...ports, tracing });
  const { agentTools } = await import("./agent-tools/registry.ts");
  const { tellParents } = await import("./subagents/tell-parents.ts");
  const { bodyStore } = await import("./bodies/body-store.ts");
  const withBodies = { ...ports, bodies: bodyStore(ports) };
  const agents = { tools: agentTools(withBodies), ended: tellParents(withBodies) };
  const worker = await startWorker({
    ...ports,
    ...parts,
    ...agents,
    tracing,
    instance,
    pools,
    slots,
    drainGraceMs,
  });
  const probe = await openProbe(ports, options, () => (worker.workerId === null ? ["not registered"] : []));
  await Promise.race([worker.registered(), aborted(signal)]); // a store that is away must not hold up the end
  // Those of a dedicated pool have room for its tenants alone: they say nothing of the pool that load sizes.
  const load = pools.includes("shared")
    ? reporter(ports, options.role, {
        instance,
        pool: "worker",
        read: () => ({ ...worker.load(), connections: 0 }),
      })
    : NOTHING_TO_REPORT;
  const drain = (): Promise<void> => together(worker.drain(), load.stop()).finally(() => probe?.close());
  return { url: probe?.url ?? null, drain };
}

async function serveControl(ports: Ports, options: ServeOptions): Promise<Served> {
  const { startControl } = await import("./control/main.ts");
  const { instance, pools } = options.config;
  const control = await startControl({ ...ports, instance, pools });
  const probe = await openProbe(ports, options, () => []);
  return { url: probe?.url ?? null, drain: () => control.close().finally(() => probe?.close()) };
}

/** A process that is everything at once is one of its kind: there is nothing to size. */
const reporter = (
  ports: Ports,
  role: InstanceRole,
  part: Pick<LoadReporterDeps, "instance" | "pool" | "read">,
): { stop(): Promise<void> } => (role === "all" ? NOTHING_TO_REPORT : reportLoad({ ...ports, ...part }));

const NOTHING_TO_REPORT = { stop: () => Promise.resolve() };

/** Side by side: what drains need not wait for the last report. */
const together = async (...work: readonly Promise<void>[]): Promise<void> => void (await Promise.all(work));

/** Processes without clients answer probes where they were given a port; in one with a gateway the gateway does. */
async function openProbe(
  { registry }: Ports,
  { config: { host, port }, role, signal }: ServeOptions,
  failing: () => readonly string[],
): Promise<ProbeServer | null> {
  if (port === 0 || role === "all") return null;
  return startProbeServer({
    host,
    port,
    metrics: () => registry.text(),
    failing: () => (signal.aborted ? ["draining"] : failing()),
  });
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
