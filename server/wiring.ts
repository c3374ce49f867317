import { jsonLogger } from "./adapters/system/logger.ts";
import { systemClock } from "./adapters/system/clock.ts";
import { systemRandom } from "./adapters/system/random.ts";
import { configSecretVault } from "./adapters/memory/config-vault.ts";
import { memoryRateLimiter } from "./adapters/memory/rate-limiter.ts";
import { postgresCronStore } from "./adapters/postgres/cron-store.ts";
import { postgresPool } from "./adapters/postgres/pool.ts";
import { postgresRunLedger } from "./adapters/postgres/run-ledger.ts";
import { postgresScalingStore } from "./adapters/postgres/scaling-store.ts";
import { postgresSessionStore } from "./adapters/postgres/session-store.ts";
import { postgresSubagentStore } from "./adapters/postgres/subagent-store.ts";
import { postgresTenantDirectory } from "./adapters/postgres/tenant-directory.ts";
import type { Environment, InstanceConfig, LogLevel, ObjectsConfig } from "./config.ts";
import type { AgentCatalog } from "./core/catalog.ts";
import type { ConfigView } from "./core/config-view.ts";
import { loadOpenClawConfig } from "./openclaw-config/load.ts";
import { metricsRegistry, type MetricsRegistry } from "./metrics/registry.ts";
import { timedPort } from "./metrics/timed-port.ts";
import type { AgentRuntime } from "./ports/agent-runtime.ts";
import type { Clock } from "./ports/clock.ts";
import type { CronStore } from "./ports/cron-store.ts";
import type { TenantDirectory } from "./ports/directory.ts";
import type { EventBus } from "./ports/event-bus.ts";
import type { Logger } from "./ports/logger.ts";
import type { ObjectStore } from "./ports/object-store.ts";
import type { RateLimiter } from "./ports/rate-limiter.ts";
import type { Random } from "./ports/random.ts";
import type { RunLedger } from "./ports/run-ledger.ts";
import type { RunQueue } from "./ports/run-queue.ts";
import type { ScalingStore } from "./ports/scaling-store.ts";
import type { SecretVault } from "./ports/secret-vault.ts";
import type { SessionStore } from "./ports/session-store.ts";
import type { Tracing } from "./ports/tracing.ts";
import type { SubagentStore } from "./ports/subagent-store.ts";
import { sharedElseOwn } from "./rate-limiting.ts";
import type { KeepLease } from "./worker/keep-lease.ts";

/** Everything that a process of the pool is given; nobody else knows an adapter. */
export interface Ports {
  readonly ledger: RunLedger;
  readonly sessions: SessionStore;
  readonly directory: TenantDirectory;
  readonly scaling: ScalingStore;
  readonly cron: CronStore;
  readonly subagents: SubagentStore;
  readonly queue: RunQueue;
  readonly bus: EventBus;
  readonly rateLimiter: RateLimiter;
  readonly objects: ObjectStore;
  readonly vault: SecretVault;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** What the process tells Prometheus; calls to the stores are measured in it. */
  readonly registry: MetricsRegistry;
  readonly catalog: AgentCatalog;
  readonly configView: ConfigView;
  /** Where browsers may come from beside the gateways' own addresses. */
  readonly allowedOrigins: readonly string[];
  /** Closes in the reverse order of opening; safe while stores are away. */
  close(): Promise<void>;
}

/** Connections of one process to Postgres, beside the heartbeat's own. */
const POSTGRES_CONNECTIONS = 8;

/** The clock and chance of this process, for what needs no stores. */
export const systemPorts: { readonly clock: Clock; readonly random: Random } = {
  clock: systemClock,
  random: systemRandom,
};

/** The logger of one instance. */
export const instanceLogger = (
  instance: string,
  level: LogLevel,
  destination: "stdout" | "stderr" = "stdout",
): Logger => jsonLogger({ level, fields: { instance }, destination });

/**
 * Opens the ports of a process. It does not wait for the stores: each port says STORE_UNAVAILABLE while its own is
 * away. Adapters of stores that are not configured are not even loaded, which keeps start and memory small.
 * @throws HAError CONFIG_INVALID for an openclaw.json with errors
 */
export async function openPorts(config: InstanceConfig, logger: Logger, env: Environment): Promise<Ports> {
  const { clock, random } = systemPorts;
  const { allowedOrigins, catalog, view, providerKeys } = loadOpenClawConfig({
    path: config.openclawConfigPath,
    env,
    demoModelUrl: config.demoModelUrl,
  });
  const pool = postgresPool({
    url: config.postgresUrl,
    applicationName: config.instance,
    maxConnections: POSTGRES_CONNECTIONS,
  });
  const shared = { clock, random, logger };
  const stored = { pool, ...(catalog.queueCap === null ? {} : { maxQueuedPerSession: catalog.queueCap }) };
  const [queue, bus, objects, rateLimiter] = await Promise.all([
    openQueue(config, catalog, shared),
    openBus(config, shared),
    openObjects(config.objects, shared),
    openRateLimiter(config, shared),
  ]);
  const registry = metricsRegistry(config.instance, { process: true });
  const onPostgres = <Port extends object>(name: string, port: Port): Port =>
    timedPort(port, name, "postgres", registry);
  return {
    ...shared,
    registry,
    ledger: onPostgres("ledger", postgresRunLedger(stored)),
    sessions: onPostgres("sessions", postgresSessionStore({ pool, random })),
    directory: onPostgres("directory", postgresTenantDirectory({ pool })),
    scaling: onPostgres("scaling", postgresScalingStore({ pool })),
    cron: onPostgres("cron", postgresCronStore(stored)),
    subagents: onPostgres("subagents", postgresSubagentStore(stored)),
    queue: timedPort(queue, "queue", "redis", registry),
    bus: timedPort(bus, "bus", config.natsUrl === null ? "redis" : "nats", registry),
    objects: timedPort(objects, "objects", "objects", registry),
    rateLimiter: timedPort(rateLimiter, "rateLimiter", "redis", registry),
    vault: configSecretVault(providerKeys),
    catalog,
    configView: view,
    allowedOrigins,
    async close() {
      await Promise.allSettled([queue.close(), bus.close(), objects.close(), rateLimiter.close()]);
      await pool.end();
    },
  };
}

/** Tenants and their tokens with an operator's rights, over a connection of its own. `adminUrl`: the owner's access. */
export function openOperatorDirectory(adminUrl: string): TenantDirectory {
  const pool = postgresPool({ url: adminUrl, applicationName: "operator", maxConnections: 1, role: null });
  return { ...postgresTenantDirectory({ pool }), close: () => pool.end() };
}

type Shared = Pick<Ports, "clock" | "random" | "logger">;

async function openQueue(
  config: InstanceConfig,
  { laneWidths }: AgentCatalog,
  shared: Shared,
): Promise<RunQueue> {
  if (config.redisUrl === null) {
    const { noRunQueue } = await import("./adapters/none/run-queue.ts");
    return noRunQueue();
  }
  const { redisRunQueue } = await import("./adapters/redis/run-queue.ts");
  return redisRunQueue({ ...shared, url: config.redisUrl, laneWidths });
}

async function openBus(config: InstanceConfig, shared: Shared): Promise<EventBus> {
  if (config.natsUrl !== null) {
    const { natsEventBus } = await import("./adapters/nats/event-bus.ts");
    return natsEventBus({ ...shared, url: config.natsUrl });
  }
  if (config.redisUrl === null) {
    const { noEventBus } = await import("./adapters/none/event-bus.ts");
    return noEventBus();
  }
  const { redisEventBus } = await import("./adapters/redis/event-bus.ts");
  return redisEventBus({ ...shared, url: config.redisUrl });
}

async function openRateLimiter(config: InstanceConfig, shared: Shared): Promise<RateLimiter> {
  const own = memoryRateLimiter(shared);
  if (config.redisUrl === null) return own;
  const { redisRateLimiter } = await import("./adapters/redis/rate-limiter.ts");
  return sharedElseOwn(redisRateLimiter({ ...shared, url: config.redisUrl }), own, shared.logger);
}

async function openObjects(config: ObjectsConfig, shared: Shared): Promise<ObjectStore> {
  if (config.kind === "directory") {
    const { directoryObjectStore } = await import("./adapters/directory/object-store.ts");
    return directoryObjectStore({ dir: config.directory });
  }
  const { s3ObjectStore } = await import("./adapters/s3/object-store.ts");
  const { endpoint, bucket, region, credentials } = config;
  return s3ObjectStore({
    ...shared,
    bucket,
    region,
    endpoint: endpoint ?? undefined,
    credentials: credentials ?? undefined,
  });
}

/** What only a worker needs: the agent, and the thread that keeps its lease. */
export async function openWorkerParts(
  config: InstanceConfig,
  {
    clock,
    random,
    logger,
    catalog,
    tracing,
  }: Shared & Pick<Ports, "catalog"> & { readonly tracing: Tracing },
): Promise<{ readonly runtime: AgentRuntime; readonly keepLease: KeepLease }> {
  const { embeddedAgentRuntime } = await import("./adapters/embedded-agent/agent-runtime.ts");
  const { threadKeeper } = await import("./worker/keep-lease-thread.ts");
  const runtime = embeddedAgentRuntime({ clock, random, logger, tracing });
  // In the background, and told by a log line where it fails: else the first run pays for it.
  void runtime.warmUp([...new Set(catalog.models.map(({ api }) => api))]);
  return {
    runtime,
    keepLease: threadKeeper({
      clock,
      linkModule: new URL("./adapters/postgres/heartbeat-link.ts", import.meta.url).href,
      linkSettings: { url: config.postgresUrl, applicationName: `${config.instance} heartbeat` },
    }),
  };
}
