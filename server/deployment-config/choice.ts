import path from "node:path";
import { SCALED_POOLS, type ScaledPool, type ScalingPolicy } from "../core/scaling.ts";
import type { LimitSettings } from "../core/tenant-limits.ts";
import { type DeploymentFile, SHARED_POOL } from "./schema.ts";

/** A tenant that `up` adds where it is missing. */
export interface TenantWish {
  readonly id: string;
  readonly pool: string;
  /** Where they differ from the limits of all. */
  readonly limits?: LimitSettings;
}

/**
 * What may be said of a deployment in one place: a set of flags, the environment, or openclaw-ha.yaml. What it leaves
 * out is decided by weaker ones; null says that it is to be as where nobody says anything. Paths are absolute.
 */
export interface TopologyChoice {
  readonly topology?: string;
  readonly port?: number;
  readonly gateways?: number;
  readonly workers?: number;
  /** Sizes of worker pools of their own, all of them. */
  readonly dedicated?: Readonly<Record<string, number>>;
  /** Sessions that one worker executes at once. */
  readonly slots?: number;
  readonly openclawConfig?: string | null;
  readonly openclawHome?: string | null;
  readonly controlUi?: string | null;
  readonly postgresUrl?: string | null;
  readonly redisUrl?: string | null;
  readonly natsUrl?: string | null;
  readonly s3?: { readonly endpoint?: string; readonly bucket?: string; readonly region?: string } | null;
  readonly logLevel?: string;
  /** Changes of each pool's policy. */
  readonly scaling?: Readonly<Record<ScaledPool, Partial<ScalingPolicy>>>;
  readonly limits?: LimitSettings;
  readonly tenants?: readonly TenantWish[];
}

/** Leaves out what was not said, so that a weaker choice is not overwritten by it. */
export const said = <T extends object>(all: { readonly [K in keyof T]: T[K] | undefined }): T =>
  Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as T;

/** What openclaw-ha.yaml says of a deployment; its paths are relative to it. */
export function choiceOfFile(written: DeploymentFile, file: string): TopologyChoice {
  const { limits, logLevel, openclaw, pools, port, stores, tenants, topology } = written;
  const relative = <T extends string | null | undefined>(to: T) =>
    typeof to === "string" ? path.resolve(path.dirname(file), to) : to;
  const worker = typeof pools?.worker === "object" ? pools.worker : null;
  return said<TopologyChoice>({
    topology,
    port,
    logLevel,
    gateways: instancesOf(pools?.gateway),
    workers: instancesOf(pools?.worker),
    dedicated: dedicatedOf(pools?.dedicated),
    slots: worker?.slots,
    openclawConfig: relative(openclaw?.config),
    openclawHome: relative(openclaw?.home),
    controlUi: relative(openclaw?.controlUi),
    postgresUrl: urlOf(stores?.postgres),
    redisUrl: urlOf(stores?.redis),
    natsUrl: urlOf(stores?.nats),
    s3: stores?.objects === "directory" ? null : stores?.objects,
    scaling: scalingOf(written),
    limits: limits ?? undefined,
    tenants: tenants?.map((tenant) => tenantOf(tenant)),
  });
}

type Sized = number | { readonly instances?: number } | undefined;
const instancesOf = (pool: Sized): number | undefined => (typeof pool === "number" ? pool : pool?.instances);

function dedicatedOf(
  pools: Readonly<Record<string, Exclude<Sized, undefined>>> | null | undefined,
): TopologyChoice["dedicated"] {
  if (pools === undefined) return undefined;
  return Object.fromEntries(
    Object.entries(pools ?? {}).map(([name, pool]) => [name, instancesOf(pool) ?? 1]),
  );
}

/** Null: the one that the deployment runs by itself. */
function urlOf(store: string | { readonly url: string } | undefined): string | null | undefined {
  if (store === undefined) return undefined;
  return typeof store === "string" ? null : store.url;
}

type WrittenTenant = NonNullable<DeploymentFile["tenants"]>[number];

function tenantOf(tenant: WrittenTenant): TenantWish {
  if (typeof tenant === "string") return { id: tenant, pool: SHARED_POOL };
  const { id, limits, pool } = tenant;
  return { id, pool: pool ?? SHARED_POOL, ...(limits ? { limits } : {}) };
}

/** Undefined where the file says nothing of it. */
function scalingOf({ pools, scaling }: DeploymentFile): TopologyChoice["scaling"] {
  const ms = (value: number | undefined): number | undefined =>
    value === undefined ? undefined : value * 1_000;
  const common = {
    auto: scaling?.auto,
    growAfterMs: ms(scaling?.growAfterSeconds),
    cooldownMs: ms(scaling?.cooldownSeconds),
    shrinkAfterMs: ms(scaling?.shrinkAfterSeconds),
    queueDelayMs: ms(scaling?.queueDelaySeconds),
    connections: scaling?.connectionsPerGateway,
  };
  const of = (name: ScaledPool): Partial<ScalingPolicy> => {
    const pool = pools?.[name];
    const bounds = typeof pool === "object" ? pool : {};
    return said({ ...common, min: bounds.min, max: bounds.max });
  };
  const policies = { gateway: of("gateway"), worker: of("worker") };
  return SCALED_POOLS.some((name) => Object.keys(policies[name]).length > 0) ? policies : undefined;
}
