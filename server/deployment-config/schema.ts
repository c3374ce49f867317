import { z } from "zod";
import { agentId, tenantId } from "../core/ids.ts";
import type { LimitName } from "../core/tenant-limits.ts";

/**
 * openclaw-ha.yaml: every key, what it means and what it may say. From here come the checks, the JSON schema for
 * editors (templates/config/openclaw-ha.schema.json) and the types; what a key is worth when nobody says it stands in
 * the reference file beside that schema, which a test holds to the defaults.
 *
 * Closed at every level: a key that has no effect is an error, so that nobody relies on it.
 */

export const TOPOLOGIES = ["v0", "v1", "v2"] as const;
export const LOG_LEVELS = ["debug", "info", "warn", "error", "silent"] as const;
/** The pool of tenants that name none, served by the workers of `pools.worker`. */
export const SHARED_POOL = "shared";

const POOL_MAX = 256;
/** What fits well into one order to the supervisor and one statement. */
const TENANTS_MAX = 10_000;

/** A group of keys; one of which all keys are commented out says nothing. */
const section = <Shape extends z.core.$ZodLooseShape>(shape: Shape, description: string) =>
  z.strictObject(shape).nullable().optional().describe(description);

/** What may be said, or null for "as if it were not there". */
const setting = <T extends z.ZodType>(type: T, description: string) => type.optional().describe(description);

const whole = (min: number, max = Number.MAX_SAFE_INTEGER) => z.number().int().min(min).max(max);
const size = whole(0, POOL_MAX);
const bound = whole(1, POOL_MAX);
const seconds = z.number().min(0).max(86_400);
const amount = z.number().min(0);

/** The pattern is for editors; what counts is what the rest of the product takes for such a name. */
const named = (make: (value: string) => string, what: string, length: number) =>
  z
    .string()
    .refine((value) => isMade(make, value), {
      error: `not a usable ${what}: lower-case letters, digits, dashes and underscores, at most ${length}`,
    })
    .meta({ pattern: `^[a-z0-9][a-z0-9_-]{0,${length - 1}}$` });

function isMade(make: (value: string) => string, value: string): boolean {
  try {
    return make(value) !== "";
  } catch {
    return false;
  }
}

export const tenantName = named(tenantId, "tenant's id", 63);
export const poolName = named(agentId, "pool's name", 64);

/** The value may hold a password, so that it is not repeated. */
const url = (protocols: readonly string[]) =>
  z.string().refine((value) => isUrl(value, protocols), {
    error: `must be a URL that starts with ${protocols.map((protocol) => `${protocol}//`).join(" or ")}`,
  });

export const isUrl = (value: string, protocols: readonly string[]): boolean =>
  URL.canParse(value) && protocols.includes(new URL(value).protocol);

/** Protocols of the stores' URLs. */
export const STORE_PROTOCOLS = {
  postgres: ["postgres:", "postgresql:"],
  redis: ["redis:", "rediss:"],
  nats: ["nats:", "tls:", "ws:", "wss:"],
  s3: ["http:", "https:"],
} as const;

const external = (store: "postgres" | "redis" | "nats") =>
  z.strictObject({
    url: url(STORE_PROTOCOLS[store]).describe("Its address; ${NAME} keeps passwords out of the file."),
  });

/** What one tenant may use. Null: no limit. */
const limitShape = {
  requestsPerMinute: setting(whole(1).nullable(), "Requests that start a run, per minute. null: no limit."),
  tokensPerMinute: setting(
    whole(1).nullable(),
    "Tokens of model calls, in and out, per minute. null: no limit.",
  ),
  concurrentRuns: setting(whole(1).nullable(), "Runs that are executed at once. null: no limit."),
  queuedRuns: setting(whole(1).nullable(), "Runs that wait to be executed. null: no limit."),
  sessions: setting(whole(1).nullable(), "Sessions that exist. null: no limit."),
  storageBytes: setting(whole(1).nullable(), "Bytes of transcripts and attachments. null: no limit."),
} satisfies Record<LimitName, z.ZodType>;

const pools = section(
  {
    gateway: setting(
      z.union([
        size,
        z.strictObject({
          instances: setting(size, "Size of the pool; where sizing is automatic, what it starts with."),
          min: setting(bound, "Least size that automatic sizing gives it."),
          max: setting(bound, "Largest size that automatic sizing gives it."),
        }),
      ]),
      "v2: processes that clients connect to. A number is its size.",
    ),
    worker: setting(
      z.union([
        size,
        z.strictObject({
          instances: setting(size, "Size of the pool; where sizing is automatic, what it starts with."),
          min: setting(bound, "Least size that automatic sizing gives it."),
          max: setting(bound, "Largest size that automatic sizing gives it."),
          slots: setting(whole(1, 4_096), "Sessions that one worker executes at once, in every pool."),
        }),
      ]),
      "v2: processes that execute runs of the tenants of pool `shared`. A number is its size.",
    ),
    dedicated: setting(
      z
        .record(
          poolName,
          z
            .union([
              bound,
              z.strictObject({
                instances: setting(bound, "Size of the pool, which is never changed by load."),
              }),
            ])
            .describe("A pool by its name."),
        )
        .nullable(),
      "v2: worker pools that serve no tenants but those that name them. A number is a pool's size.",
    ),
  },
  "Equal processes, and how many of them.",
);

const scaling = section(
  {
    auto: setting(
      z.boolean(),
      "true: load decides the sizes of the pools gateway and worker, within min and max.",
    ),
    growAfterSeconds: setting(seconds, "How long load has to be high before a pool grows."),
    cooldownSeconds: setting(seconds, "Least time between two growths."),
    shrinkAfterSeconds: setting(
      seconds,
      "How long load has to be low, without a change meanwhile, before a pool shrinks.",
    ),
    queueDelaySeconds: setting(
      seconds.min(0.001),
      "How long a session may wait for a worker before more are wanted.",
    ),
    connectionsPerGateway: setting(whole(1), "Connected clients that one gateway is meant for."),
  },
  "How pools are sized.",
);

const stores = section(
  {
    postgres: setting(
      z.union([z.literal("embedded"), external("postgres")]),
      "The record of sessions and runs: `embedded` runs one here, `{ url }` uses yours.",
    ),
    redis: setting(
      z.union([z.literal("local"), external("redis")]),
      "Dispatch and live events: `local` runs this machine's redis-server or valkey-server, `{ url }` uses yours.",
    ),
    nats: setting(
      z.union([z.literal("none"), external("nats")]),
      "Live events over NATS instead of Redis: `none`, or `{ url }`.",
    ),
    objects: setting(
      z.union([
        z.literal("directory"),
        z.strictObject({
          bucket: z.string().min(1).describe("Keys come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."),
          endpoint: setting(url(STORE_PROTOCOLS.s3), "Default: Amazon's own of the region."),
          region: setting(z.string().min(1), "Default: us-east-1."),
        }),
      ]),
      "Large bodies: `directory` keeps them in the data directory, `{ bucket }` in S3.",
    ),
  },
  "v2: where state lies.",
);

const tenants = z
  .array(
    z
      .union([
        tenantName,
        z.strictObject({
          id: tenantName.describe("Its name, for ever."),
          pool: setting(poolName, "Whose workers execute its runs: `shared`, or one of pools.dedicated."),
          limits: section(limitShape, "What this one may use, where it differs from limits above."),
        }),
      ])
      .describe("A tenant: its id alone, or more of it."),
  )
  .max(TENANTS_MAX)
  .nullable();

const cost = section(
  {
    currency: setting(z.string().min(1).max(8), "How amounts are written."),
    prices: section(
      {
        memoryGbMonth: setting(amount, "One gigabyte of memory for a month."),
        cpuMonth: setting(amount, "One core for a month."),
        diskGbMonth: setting(amount, "One gigabyte of disk for a month."),
      },
      "What the operator pays.",
    ),
    usage: section(
      {
        users: setting(whole(1), "People who have an agent."),
        onlineShare: setting(amount.max(1), "Share of them that is connected at the busiest time."),
        activeShare: setting(amount.max(1), "Share of them whose session runs at that moment."),
        runsPerUserDay: setting(amount, "Messages that a user sends on an average day."),
        keepMonths: setting(amount, "How long what runs leave on disk is kept, in months."),
        cpuUtilization: setting(
          amount.min(0.01).max(1),
          "Share of a core that is really used at the busiest time.",
        ),
        peakToAverage: setting(amount.min(1), "Runs at the busiest time of a day against its average."),
      },
      "What they use.",
    ),
  },
  "The operator's numbers for `openclaw-ha cost`.",
);

export const deploymentFileSchema = z.strictObject({
  topology: setting(
    z.enum(TOPOLOGIES),
    "v0: one process on OpenClaw's own state directory. v1: a process per user. v2: pools over shared stores.",
  ),
  port: setting(whole(0, 65_535), "Public port; 0 is any free one, kept from then on."),
  logLevel: setting(z.enum(LOG_LEVELS), "What instances write to their logs."),
  openclaw: section(
    {
      config: setting(
        z.string().min(1).nullable(),
        "OpenClaw's own openclaw.json, relative to this file: agents, models, providers, auth. null: one agent on the demo model.",
      ),
      home: setting(
        z.string().min(1).nullable(),
        "v0, v1: an existing state directory of OpenClaw, relative to this file. null: one of its own.",
      ),
      controlUi: setting(
        z.string().min(1).nullable(),
        "OpenClaw's built Control UI, relative to this file. null: that of an installed openclaw.",
      ),
    },
    "OpenClaw's own files.",
  ),
  pools,
  scaling,
  stores,
  limits: section(limitShape, "What each tenant may use, unless it says otherwise."),
  tenants: setting(
    tenants,
    "Tenants that `up` adds where they are missing. One that is not listed is left alone; tokens come from `openclaw-ha tenant token`.",
  ),
  cost,
});

/** openclaw-ha.yaml as it was written. */
export type DeploymentFile = z.infer<typeof deploymentFileSchema>;
