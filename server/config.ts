import { HAError } from "./core/errors.ts";
import { agentId } from "./core/ids.ts";

/** Roles of a process that holds ports (`openclaw-ha serve ROLE`). */
export type InstanceRole = "gateway" | "worker" | "control" | "all";

/** Sessions that a worker executes at once, unless it is told otherwise. */
export const DEFAULT_SLOTS = 64;

export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";
const LOG_LEVELS: readonly LogLevel[] = ["debug", "info", "warn", "error", "silent"];

/** Where large bodies and transcript segments lie. */
export type ObjectsConfig =
  | { readonly kind: "directory"; readonly directory: string }
  | {
      readonly kind: "s3";
      /** Null: Amazon's own endpoint of the region. */
      readonly endpoint: string | null;
      readonly bucket: string;
      readonly region: string;
      /** Null: the SDK's default chain (instance profile, web identity…). */
      readonly credentials: {
        readonly accessKeyId: string;
        readonly secretAccessKey: string;
        readonly sessionToken?: string;
      } | null;
    };

/** One process of the pool, as its environment describes it. Holds secrets: never log it. */
export interface InstanceConfig {
  /** Name over restarts: `gateway-1`. */
  readonly instance: string;
  readonly postgresUrl: string;
  /** Null: no queue and no bus but Postgres polling, which `serve` says in the log. */
  readonly redisUrl: string | null;
  /** Event bus over NATS instead of Redis. */
  readonly natsUrl: string | null;
  readonly objects: ObjectsConfig;
  /** OpenClaw's own openclaw.json; null: one agent on the demo model. */
  readonly openclawConfigPath: string | null;
  /** Base URL of the demo model, `http://127.0.0.1:PORT/v1`. */
  readonly demoModelUrl: string | null;
  readonly host: string;
  /** The instance's own port; 0 picks a free one. */
  readonly port: number;
  /** The port that all gateways of the machine listen on together (SO_REUSEPORT). */
  readonly sharedPort: number | null;
  /** Folder of OpenClaw's built Control UI; null: a page says how to get one. */
  readonly controlUi: string | null;
  /** Sessions that a worker executes at once. */
  readonly slots: number;
  /** Pools that a worker serves. */
  readonly pools: readonly string[];
  readonly logLevel: LogLevel;
  /** What a drain may take in milliseconds before runs are handed over. */
  readonly drainGraceMs: number;
}

/** The demo model and the supervisor hold no ports: an address and a log level is all they need. */
export interface ListenConfig {
  readonly instance: string;
  readonly host: string;
  readonly port: number;
  readonly logLevel: LogLevel;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** Reads variables and remembers what is wrong with them, so that all problems are reported at once. */
function reader(env: Environment) {
  const problems: string[] = [];
  // An empty variable counts as unset: that is how shells and compose files say "nothing".
  const optional = (name: string): string | null => env[name]?.trim() || null;
  return {
    problems,
    optional,
    text: (name: string, fallback: string): string => optional(name) ?? fallback,
    url(name: string, protocols: readonly string[]): string | null {
      const value = optional(name);
      if (value === null) return null;
      if (URL.canParse(value) && protocols.includes(new URL(value).protocol)) return value;
      // The value may hold a password, so it is not repeated.
      problems.push(`${name} must be a URL that starts with ${protocols.map((p) => `${p}//`).join(" or ")}`);
      return null;
    },
    integer(name: string, fallback: number, min: number, max: number): number {
      const value = optional(name);
      if (value === null) return fallback;
      const number = Number(value);
      if (/^\d+$/.test(value) && number >= min && number <= max) return number;
      problems.push(`${name} must be a whole number from ${min} to ${max}, not ${JSON.stringify(value)}`);
      return fallback;
    },
    oneOf<T extends string>(name: string, allowed: readonly T[], fallback: T): T {
      const value = optional(name);
      if (value === null) return fallback;
      const found = allowed.find((candidate) => candidate === value);
      if (found === undefined) {
        problems.push(`${name} must be one of ${allowed.join(", ")}, not ${JSON.stringify(value)}`);
      }
      return found ?? fallback;
    },
    missing: (name: string, why: string): void => void problems.push(`${name} is not set: ${why}`),
    /** @throws HAError CONFIG_INVALID */
    done<T>(config: T): T {
      if (problems.length === 0) return config;
      throw new HAError("CONFIG_INVALID", "the environment of this process is not usable", { problems });
    },
  };
}

type Reader = ReturnType<typeof reader>;

/**
 * What a process of the pool runs with, from its environment (`OPENCLAW_HA_*`, `AWS_*`).
 * @throws HAError CONFIG_INVALID with every problem in `details.problems`
 */
export function readInstanceConfig(role: InstanceRole, env: Environment): InstanceConfig {
  const read = reader(env);
  const postgresUrl = read.url("OPENCLAW_HA_POSTGRES_URL", ["postgres:", "postgresql:"]);
  if (postgresUrl === null && read.optional("OPENCLAW_HA_POSTGRES_URL") === null) {
    read.missing("OPENCLAW_HA_POSTGRES_URL", "PostgreSQL holds sessions, runs and leases");
  }
  return read.done({
    ...readListen(read, role === "all" ? "all-1" : `${role}-1`),
    postgresUrl: postgresUrl ?? "",
    redisUrl: read.url("OPENCLAW_HA_REDIS_URL", ["redis:", "rediss:"]),
    natsUrl: read.url("OPENCLAW_HA_NATS_URL", ["nats:", "tls:", "ws:", "wss:"]),
    objects: readObjects(read),
    openclawConfigPath: read.optional("OPENCLAW_HA_OPENCLAW_CONFIG"),
    demoModelUrl: read.url("OPENCLAW_HA_DEMO_MODEL_URL", ["http:", "https:"]),
    sharedPort: read.integer("OPENCLAW_HA_SHARED_PORT", 0, 0, 65_535) || null,
    controlUi: read.optional("OPENCLAW_HA_CONTROL_UI"),
    slots: read.integer("OPENCLAW_HA_SLOTS", DEFAULT_SLOTS, 1, 4096),
    pools: readPools(read),
    drainGraceMs: read.integer("OPENCLAW_HA_DRAIN_GRACE_MS", 10_000, 0, 3_600_000),
  });
}

/** @throws HAError CONFIG_INVALID */
export function readListenConfig(instance: string, env: Environment): ListenConfig {
  const read = reader(env);
  return read.done(readListen(read, instance));
}

const readListen = (read: Reader, instance: string): ListenConfig => ({
  instance: read.text("OPENCLAW_HA_INSTANCE", instance),
  host: read.text("OPENCLAW_HA_HOST", "127.0.0.1"),
  port: read.integer("OPENCLAW_HA_PORT", 0, 0, 65_535),
  logLevel: read.oneOf("OPENCLAW_HA_LOG_LEVEL", LOG_LEVELS, "info"),
});

function readPools(read: Reader): string[] {
  const pools = read
    .text("OPENCLAW_HA_POOLS", "shared")
    .split(",")
    .map((pool) => pool.trim())
    .filter((pool) => pool !== "");
  for (const pool of pools) {
    // Pools end up in stream keys and consumer groups, like agent ids.
    try {
      agentId(pool);
    } catch {
      read.problems.push(`OPENCLAW_HA_POOLS: ${JSON.stringify(pool)} is not a pool name`);
    }
  }
  if (pools.length === 0) read.problems.push("OPENCLAW_HA_POOLS names no pool");
  return [...new Set(pools)];
}

function readObjects(read: Reader): ObjectsConfig {
  const directory = read.optional("OPENCLAW_HA_OBJECTS_DIR");
  const bucket = read.optional("OPENCLAW_HA_S3_BUCKET");
  const endpoint = read.url("OPENCLAW_HA_S3_ENDPOINT", ["http:", "https:"]);
  if (directory !== null && bucket !== null) {
    read.problems.push("OPENCLAW_HA_OBJECTS_DIR and OPENCLAW_HA_S3_BUCKET exclude each other");
  }
  if (directory !== null) return { kind: "directory", directory };
  if (bucket === null) {
    read.missing("OPENCLAW_HA_OBJECTS_DIR", "it or OPENCLAW_HA_S3_BUCKET says where objects lie");
    return { kind: "directory", directory: "" };
  }
  const accessKeyId = read.optional("AWS_ACCESS_KEY_ID");
  const secretAccessKey = read.optional("AWS_SECRET_ACCESS_KEY");
  if ((accessKeyId === null) !== (secretAccessKey === null)) {
    read.problems.push("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must be set together");
  }
  const sessionToken = read.optional("AWS_SESSION_TOKEN");
  return {
    kind: "s3",
    endpoint,
    bucket,
    region: read.text("OPENCLAW_HA_S3_REGION", "us-east-1"),
    credentials:
      accessKeyId !== null && secretAccessKey !== null
        ? { accessKeyId, secretAccessKey, ...(sessionToken !== null ? { sessionToken } : {}) }
        : null,
  };
}
