import type { InstanceSpec, PoolName } from "../ports/provisioner.ts";
import type { DeploymentAddresses } from "./addresses.ts";
import { LOOPBACK } from "./addresses.ts";
import type { DeploymentProgram, DesiredTopology } from "./deployment.ts";

/** How long an instance may drain by itself; its supervisor waits a little longer before SIGKILL. */
export const DRAIN_GRACE_MS = 10_000;
export const STOP_GRACE_MS = DRAIN_GRACE_MS + 2_000;

export interface InstancePlan {
  readonly desired: DesiredTopology;
  readonly addresses: DeploymentAddresses;
  readonly ports: Readonly<Record<string, number>>;
  readonly environment: Readonly<Record<string, string>>;
  /** What instances run from; null: the supervisor's own program. */
  readonly program?: DeploymentProgram | null;
}

/** An instance of the topology, before it has an address. */
export interface InstanceName {
  readonly id: string;
  readonly pool: PoolName;
  readonly role: string;
  /** The pool of tenants that a worker serves; absent: the shared one. */
  readonly serves?: string;
  /** Where it says over HTTP that it is ready. */
  readonly readyPath: string;
}

/** Ids are stable: a pool that grows gets the next number, one that shrinks loses its last. */
export function instanceNames(desired: DesiredTopology): InstanceName[] {
  const numbered = (pool: PoolName, count: number, serves?: string): InstanceName[] =>
    Array.from({ length: count }, (_, n) => ({
      id: `${pool}${serves === undefined ? "" : `-${serves}`}-${n + 1}`,
      pool,
      role: pool,
      readyPath: "/readyz",
      ...(serves === undefined ? {} : { serves }),
    }));
  return [
    { id: "demo-model", pool: "model", role: "demo-model", readyPath: "/healthz" },
    ...numbered("gateway", desired.gateways),
    ...numbered("worker", desired.workers),
    ...Object.entries(desired.dedicated).flatMap(([name, size]) => numbered("worker", size, name)),
    ...numbered("control", 1),
  ];
}

/** Pools in the order in which they stop: first nobody new is let in, then work ends, then what supports it. */
export const STOP_ORDER: readonly PoolName[] = ["gateway", "router", "worker", "pod", "control", "model"];

/** The pool of an instance by its id, `worker` of `worker-vip-1`, also of one that only its record tells of. */
export const poolOf = (id: string): string => (id === "demo-model" ? "model" : id.replace(/-.*$/, ""));

/** As poolOf, but null for a worker of a dedicated pool: the size of those is fixed. */
export const sizedPoolOf = (id: string): string | null => (/^[a-z]+-\d+$/.test(id) ? poolOf(id) : null);

/** Which variables reach which instance is decided here alone (server/config.ts reads them). */
export function instanceSpecs(plan: InstancePlan): InstanceSpec[] {
  const { program } = plan;
  return instanceNames(plan.desired).map(({ id, pool, readyPath, role, serves }) => {
    const port = plan.ports[id];
    const listens = port !== undefined;
    const scheme = pool === "gateway" ? "ws" : "http";
    return {
      id,
      pool,
      args: ["serve", role],
      // The demo model stands for a provider, which no upgrade of ours interrupts: it goes on as it is until it ends.
      ...(program && pool !== "model" ? { program: { root: program.root, revision: program.revision } } : {}),
      env: {
        OPENCLAW_HA_INSTANCE: id,
        OPENCLAW_HA_HOST: LOOPBACK,
        OPENCLAW_HA_LOG_LEVEL: plan.desired.logLevel,
        ...(listens ? { OPENCLAW_HA_PORT: String(port) } : {}),
        ...(pool === "model" ? {} : storeEnvironment(plan)),
        ...(pool === "gateway" ? gatewayEnvironment(plan) : {}),
        ...(pool === "worker" && plan.desired.slots !== null
          ? { OPENCLAW_HA_SLOTS: String(plan.desired.slots) }
          : {}),
        ...(serves === undefined ? {} : { OPENCLAW_HA_POOLS: serves }),
      },
      ...(listens
        ? { url: `${scheme}://${LOOPBACK}:${port}`, readyUrl: `http://${LOOPBACK}:${port}${readyPath}` }
        : {}),
    };
  });
}

function storeEnvironment({ addresses, desired, environment }: InstancePlan) {
  const { objects } = addresses;
  return {
    ...environment,
    OPENCLAW_HA_POSTGRES_URL: addresses.postgresUrl,
    OPENCLAW_HA_REDIS_URL: addresses.redisUrl,
    OPENCLAW_HA_DEMO_MODEL_URL: addresses.demoModelUrl,
    OPENCLAW_HA_DRAIN_GRACE_MS: String(DRAIN_GRACE_MS),
    ...(addresses.natsUrl !== null ? { OPENCLAW_HA_NATS_URL: addresses.natsUrl } : {}),
    ...(objects.mode === "directory"
      ? { OPENCLAW_HA_OBJECTS_DIR: objects.directory }
      : {
          OPENCLAW_HA_S3_BUCKET: objects.bucket,
          OPENCLAW_HA_S3_REGION: objects.region,
          ...(objects.endpoint !== null ? { OPENCLAW_HA_S3_ENDPOINT: objects.endpoint } : {}),
        }),
    ...(desired.openclawConfig !== null
      ? {
          OPENCLAW_HA_OPENCLAW_CONFIG: desired.openclawConfig,
          OPENCLAW_HA_CONFIG_REVISION: desired.configRevision ?? "",
        }
      : {}),
  };
}

const gatewayEnvironment = ({ ports, desired }: InstancePlan) => ({
  OPENCLAW_HA_SHARED_PORT: String(ports["public"] ?? 0),
  ...(desired.controlUi !== null ? { OPENCLAW_HA_CONTROL_UI: desired.controlUi } : {}),
});
