import path from "node:path";
import { HAError } from "../server/core/errors.ts";
import {
  DEFAULT_SCALING,
  SCALED_POOLS,
  type ScaledPool,
  type ScalingPolicy,
} from "../server/core/scaling.ts";
import { checkLimits } from "../server/supervisor/scaling.ts";
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

/** What may be said of a topology in one place: a flag set, the environment, or openclaw-ha.yaml. */
export interface TopologyChoice {
  readonly topology?: string;
  readonly port?: number;
  readonly gateways?: number;
  readonly workers?: number;
  readonly slots?: number;
  /** Absolute. */
  readonly openclawConfig?: string;
  readonly controlUi?: string;
  readonly postgresUrl?: string;
  readonly redisUrl?: string;
  readonly natsUrl?: string;
  readonly s3?: { readonly endpoint?: string; readonly bucket?: string; readonly region?: string };
  readonly logLevel?: string;
  /** Changes of each pool's policy. */
  readonly scaling?: Readonly<Record<ScaledPool, Partial<ScalingPolicy>>>;
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
  slots: null,
  openclawConfig: null,
  configRevision: null,
  logLevel: "info",
  postgres: { mode: "embedded" },
  redis: { mode: "local" },
  nats: { mode: "none" },
  objects: { mode: "directory" },
  controlUi: null,
};

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
  if (flags.openclawHome !== undefined) throw notForV2("--openclaw-home", "v0 and v1");
  return choice({
    topology,
    port: flags.port,
    gateways: flags.gateways,
    workers: flags.workers,
    openclawConfig: absolute(flags.openclawConfig, cwd),
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
  const chosen = choice({
    topology: text("OPENCLAW_HA_TOPOLOGY"),
    port: integer("OPENCLAW_HA_PORT", 65_535),
    gateways: integer("OPENCLAW_HA_GATEWAYS", POOL_MAX),
    workers: integer("OPENCLAW_HA_WORKERS", POOL_MAX),
    slots: integer("OPENCLAW_HA_SLOTS", 4_096),
    openclawConfig: absolute(text("OPENCLAW_HA_OPENCLAW_CONFIG"), cwd),
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
): { readonly desired: DesiredTopology; readonly urls: Pick<ApplyRequest["secrets"], UrlName> } {
  const merged: TopologyChoice = Object.assign({}, ...choices.toReversed());
  const base = kept ?? DEFAULT_TOPOLOGY;
  const urls = {
    ...(merged.postgresUrl === undefined
      ? {}
      : { postgresUrl: url(merged.postgresUrl, "PostgreSQL", POSTGRES) }),
    ...(merged.redisUrl === undefined ? {} : { redisUrl: url(merged.redisUrl, "Redis", REDIS) }),
    ...(merged.natsUrl === undefined ? {} : { natsUrl: url(merged.natsUrl, "NATS", NATS) }),
  };
  return {
    urls,
    desired: {
      topology: "v2",
      port: merged.port ?? base.port,
      gateways: merged.gateways ?? base.gateways,
      workers: merged.workers ?? base.workers,
      scaling: scalingOf(merged.scaling, base.scaling),
      slots: merged.slots ?? base.slots,
      openclawConfig: merged.openclawConfig ?? base.openclawConfig,
      configRevision: base.configRevision,
      logLevel: merged.logLevel ?? base.logLevel,
      postgres: urls.postgresUrl === undefined ? base.postgres : { mode: "external" },
      redis: urls.redisUrl === undefined ? base.redis : { mode: "external" },
      nats: urls.natsUrl === undefined ? base.nats : { mode: "external" },
      objects: objectsOf(merged.s3, base.objects),
      controlUi: merged.controlUi ?? base.controlUi,
    },
  };
}

/** @throws HAError REQUEST_INVALID for limits that exclude each other */
function scalingOf(
  said: TopologyChoice["scaling"],
  base: DesiredTopology["scaling"],
): DesiredTopology["scaling"] {
  const scaling = {
    gateway: { ...base.gateway, ...said?.gateway },
    worker: { ...base.worker, ...said?.worker },
  };
  for (const pool of SCALED_POOLS) checkLimits(pool, scaling[pool]);
  return scaling;
}

type UrlName = "postgresUrl" | "redisUrl" | "natsUrl";
const POSTGRES = ["postgres:", "postgresql:"];
const REDIS = ["redis:", "rediss:"];
const NATS = ["nats:", "tls:", "ws:", "wss:"];

function objectsOf(s3: TopologyChoice["s3"], base: DesiredTopology["objects"]): DesiredTopology["objects"] {
  if (s3 === undefined) return base;
  const before = base.mode === "s3" ? base : null;
  const bucket = s3.bucket ?? before?.bucket;
  if (bucket === undefined) {
    throw new HAError("REQUEST_INVALID", "S3 needs a bucket", { hint: "--s3-bucket NAME" });
  }
  return {
    mode: "s3",
    bucket,
    endpoint:
      s3.endpoint === undefined ? (before?.endpoint ?? null) : url(s3.endpoint, "S3", ["http:", "https:"]),
    region: s3.region ?? before?.region ?? DEFAULT_REGION,
  };
}

/** The value may hold a password, so it is not repeated in the error. */
function url(value: string, store: string, protocols: readonly string[]): string {
  if (URL.canParse(value) && protocols.includes(new URL(value).protocol)) return value;
  throw new HAError(
    "REQUEST_INVALID",
    `the URL of ${store} must start with ${protocols.map((protocol) => `${protocol}//`).join(" or ")}`,
    { store },
  );
}

/** Drops what was not said, so that a weaker choice is not overwritten by it. */
const choice = (said: {
  readonly [K in keyof TopologyChoice]: TopologyChoice[K] | undefined;
}): TopologyChoice => Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined));

const s3Of = (
  endpoint: string | undefined,
  bucket: string | undefined,
  region: string | undefined,
): TopologyChoice["s3"] =>
  endpoint === undefined && bucket === undefined && region === undefined
    ? undefined
    : {
        ...(endpoint === undefined ? {} : { endpoint }),
        ...(bucket === undefined ? {} : { bucket }),
        ...(region === undefined ? {} : { region }),
      };

const absolute = (file: string | undefined, cwd: string): string | undefined =>
  file === undefined ? undefined : path.resolve(cwd, file);

const notForV2 = (flag: string, topologies: string): HAError =>
  new HAError("REQUEST_INVALID", `${flag} belongs to ${topologies}, which this release does not start yet`, {
    hint: "leave it out for v2",
  });
