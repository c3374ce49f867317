import path from "node:path";
import { HAError } from "../server/core/errors.ts";
import { DEFAULT_SCALING, SCALED_POOLS } from "../server/core/scaling.ts";
import { checkLimits } from "../server/supervisor/scaling.ts";
import type { LimitSettings } from "../server/core/tenant-limits.ts";
import { DEFAULT_SLOTS } from "../server/config.ts";
import { said, type TenantWish, type TopologyChoice } from "../server/deployment-config/choice.ts";
import { isUrl, STORE_PROTOCOLS } from "../server/deployment-config/schema.ts";
import type { ApplyRequest } from "../server/supervisor/contract.ts";
import type { DesiredTopology } from "../server/supervisor/deployment.ts";

/** Flags of `up`; absent ones leave the choice to the environment, the file, and what the deployment had. */
export interface UpFlags {
  readonly port?: number;
  readonly gateways?: number;
  readonly workers?: number;
  readonly users?: string;
  readonly openclawConfig?: string;
  readonly openclawHome?: string;
  readonly postgresUrl?: string;
  readonly redisUrl?: string;
  readonly natsUrl?: string;
  readonly s3Endpoint?: string;
  readonly s3Bucket?: string;
  readonly s3Region?: string;
  readonly controlUi?: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

const DEFAULT_REGION = "us-east-1";
const POOL_MAX = 256;

export const DEFAULT_TOPOLOGY: DesiredTopology = {
  topology: "v2",
  port: 18_789,
  gateways: 2,
  workers: 2,
  scaling: { gateway: DEFAULT_SCALING, worker: DEFAULT_SCALING },
  dedicated: {},
  slots: DEFAULT_SLOTS,
  openclawConfig: null,
  configRevision: null,
  logLevel: "info",
  postgres: { mode: "embedded" },
  redis: { mode: "local" },
  nats: { mode: "none" },
  objects: { mode: "directory" },
  controlUi: null,
};

/**
 * A deployment keeps its topology: its state lies where another one would not look for it.
 * @throws HAError REQUEST_INVALID (exit 2) that names the commands which move it
 */
export function refuseOtherTopology(kept: DesiredTopology | null, asked: string, program: string): void {
  if (kept === null || kept.topology === asked) return;
  const next = `${program} --name NEW`;
  const move =
    asked === "v2"
      ? `start a new one with \`${next} up v2\` and move the state into it: \`${next} migrate run OPENCLAW_HOME\``
      : `write its state out with \`${program} migrate export --to DIR --format 2026.9\` and start a new one on it: \`${next} up ${asked} --openclaw-home DIR\``;
  throw new HAError(
    "REQUEST_INVALID",
    `this deployment is ${kept.topology} and does not become ${asked} in place`,
    {
      topology: kept.topology,
      asked,
      hint: move,
    },
  );
}

/** @throws HAError REQUEST_INVALID (exit 2) for a topology that this release cannot start */
export function requireTopology(topology: string): void {
  if (topology === "v2") return;
  const known = topology === "v0" || topology === "v1";
  const message = known
    ? `topology ${topology} is not part of this release yet; v2 is`
    : `there is no topology ${JSON.stringify(topology)}`;
  throw new HAError("REQUEST_INVALID", message, { topology, hint: "openclaw-ha up v2" });
}

/** Flags as a choice; paths become absolute. @throws HAError REQUEST_INVALID for flags of other topologies */
export function choiceOfFlags(topology: string | undefined, flags: UpFlags, cwd: string): TopologyChoice {
  if (flags.users !== undefined) throw notForV2("--users", "v1");
  return said<TopologyChoice>({
    topology,
    port: flags.port,
    gateways: flags.gateways,
    workers: flags.workers,
    openclawConfig: absolute(flags.openclawConfig, cwd),
    openclawHome: absolute(flags.openclawHome, cwd),
    controlUi: absolute(flags.controlUi, cwd),
    postgresUrl: flags.postgresUrl,
    redisUrl: flags.redisUrl,
    natsUrl: flags.natsUrl,
    s3: s3Of(flags.s3Endpoint, flags.s3Bucket, flags.s3Region),
  });
}

/** `OPENCLAW_HA_*` as a choice. @throws HAError CONFIG_INVALID with every problem */
export function choiceOfEnvironment(env: Environment, cwd: string): TopologyChoice {
  const problems: string[] = [];
  const text = (name: string): string | undefined => env[name]?.trim() || undefined;
  const integer = (name: string, max: number): number | undefined => {
    const value = text(name);
    if (value === undefined) return undefined;
    if (/^\d+$/.test(value) && Number(value) <= max) return Number(value);
    problems.push(`${name} must be a whole number up to ${max}, not ${JSON.stringify(value)}`);
    return undefined;
  };
  const chosen = said<TopologyChoice>({
    topology: text("OPENCLAW_HA_TOPOLOGY"),
    port: integer("OPENCLAW_HA_PORT", 65_535),
    gateways: integer("OPENCLAW_HA_GATEWAYS", POOL_MAX),
    workers: integer("OPENCLAW_HA_WORKERS", POOL_MAX),
    slots: integer("OPENCLAW_HA_SLOTS", 4_096),
    openclawConfig: absolute(text("OPENCLAW_HA_OPENCLAW_CONFIG"), cwd),
    openclawHome: absolute(text("OPENCLAW_HA_OPENCLAW_HOME"), cwd),
    controlUi: absolute(text("OPENCLAW_HA_CONTROL_UI"), cwd),
    postgresUrl: text("OPENCLAW_HA_POSTGRES_URL"),
    redisUrl: text("OPENCLAW_HA_REDIS_URL"),
    natsUrl: text("OPENCLAW_HA_NATS_URL"),
    s3: s3Of(text("OPENCLAW_HA_S3_ENDPOINT"), text("OPENCLAW_HA_S3_BUCKET"), text("OPENCLAW_HA_S3_REGION")),
    logLevel: text("OPENCLAW_HA_LOG_LEVEL"),
  });
  if (problems.length > 0) throw new HAError("CONFIG_INVALID", "the environment is not usable", { problems });
  return chosen;
}

/**
 * What the deployment should become: the first choice that says something about a part decides it, then what the
 * deployment had, then the default. So a plain `up` starts a deployment as it was, with the same stores.
 * @param choices from strongest to weakest: flags, environment, openclaw-ha.yaml
 * @throws HAError REQUEST_INVALID for values that cannot be
 */
export function resolveTopology(
  choices: readonly TopologyChoice[],
  kept: DesiredTopology | null,
): {
  readonly desired: DesiredTopology;
  readonly urls: Urls;
  readonly tenants: readonly TenantWish[];
  readonly limits?: LimitSettings;
} {
  const merged: TopologyChoice = Object.assign({}, ...choices.toReversed());
  if (merged.openclawHome) throw notForV2("an existing state directory (--openclaw-home)", "v0 and v1");
  const base = kept ?? DEFAULT_TOPOLOGY;
  const { natsUrl, postgresUrl, redisUrl } = merged;
  const urls = said<Urls>({
    postgresUrl: checked(postgresUrl, "PostgreSQL", STORE_PROTOCOLS.postgres),
    redisUrl: checked(redisUrl, "Redis", STORE_PROTOCOLS.redis),
    natsUrl: checked(natsUrl, "NATS", STORE_PROTOCOLS.nats),
  });
  return {
    urls,
    tenants: merged.tenants ?? [],
    ...(merged.limits === undefined ? {} : { limits: merged.limits }),
    desired: {
      topology: "v2",
      port: merged.port ?? base.port,
      gateways: merged.gateways ?? base.gateways,
      workers: merged.workers ?? base.workers,
      scaling: scalingOf(merged.scaling, base.scaling),
      dedicated: { ...(merged.dedicated ?? base.dedicated) },
      slots: merged.slots ?? base.slots,
      openclawConfig: chosen(merged.openclawConfig, base.openclawConfig),
      configRevision: base.configRevision,
      logLevel: merged.logLevel ?? base.logLevel,
      postgres: storeOf(postgresUrl, base.postgres, DEFAULT_TOPOLOGY.postgres),
      redis: storeOf(redisUrl, base.redis, DEFAULT_TOPOLOGY.redis),
      nats: storeOf(natsUrl, base.nats, DEFAULT_TOPOLOGY.nats),
      objects: objectsOf(mergedS3(choices), base.objects),
      controlUi: chosen(merged.controlUi, base.controlUi),
    },
  };
}

type Urls = Pick<ApplyRequest["secrets"], "postgresUrl" | "redisUrl" | "natsUrl">;

/** Null was said, and is not the same as nothing. */
const chosen = <T>(choice: T | undefined, base: T): T => (choice === undefined ? base : choice);

/** A URL: the operator's own store. Null: ours. Nothing: what it was. */
function storeOf<Store extends { readonly mode: string }>(
  url: string | null | undefined,
  base: Store,
  ours: Store,
): Store | { mode: "external" } {
  if (url === undefined) return base;
  return url === null ? ours : { mode: "external" };
}

/** @throws HAError REQUEST_INVALID for limits that exclude each other */
function scalingOf(
  changes: TopologyChoice["scaling"],
  base: DesiredTopology["scaling"],
): DesiredTopology["scaling"] {
  const scaling = {
    gateway: { ...base.gateway, ...changes?.gateway },
    worker: { ...base.worker, ...changes?.worker },
  };
  for (const pool of SCALED_POOLS) checkLimits(pool, scaling[pool]);
  return scaling;
}

/** Bucket, endpoint and region may be said in different places; what is weaker than a null does not count. */
function mergedS3(choices: readonly TopologyChoice[]): TopologyChoice["s3"] {
  let merged: TopologyChoice["s3"];
  for (const { s3 } of choices.toReversed()) if (s3 !== undefined) merged = s3 && { ...merged, ...s3 };
  return merged;
}

function objectsOf(s3: TopologyChoice["s3"], base: DesiredTopology["objects"]): DesiredTopology["objects"] {
  if (s3 === undefined) return base;
  if (s3 === null) return DEFAULT_TOPOLOGY.objects;
  const before = base.mode === "s3" ? base : null;
  const bucket = s3.bucket ?? before?.bucket;
  if (bucket === undefined) {
    throw new HAError("REQUEST_INVALID", "S3 needs a bucket", { hint: "--s3-bucket NAME" });
  }
  return {
    mode: "s3",
    bucket,
    endpoint: checked(s3.endpoint, "S3", STORE_PROTOCOLS.s3) ?? before?.endpoint ?? null,
    region: s3.region ?? before?.region ?? DEFAULT_REGION,
  };
}

/** The value may hold a password, so it is not repeated in the error. */
function checked(
  value: string | null | undefined,
  store: string,
  protocols: readonly string[],
): string | undefined {
  if (value === undefined || value === null || isUrl(value, protocols)) return value ?? undefined;
  const expected = protocols.map((protocol) => `${protocol}//`).join(" or ");
  throw new HAError("REQUEST_INVALID", `the URL of ${store} must start with ${expected}`, { store });
}

function s3Of(
  endpoint: string | undefined,
  bucket: string | undefined,
  region: string | undefined,
): TopologyChoice["s3"] {
  const s3 = said<NonNullable<TopologyChoice["s3"]>>({ endpoint, bucket, region });
  return Object.keys(s3).length === 0 ? undefined : s3;
}

const absolute = (file: string | undefined, cwd: string): string | undefined =>
  file === undefined ? undefined : path.resolve(cwd, file);

const notForV2 = (flag: string, topologies: string): HAError =>
  new HAError("REQUEST_INVALID", `${flag} belongs to ${topologies}, which this release does not start yet`, {
    hint: "leave it out for v2",
  });
