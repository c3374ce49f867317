import path from "node:path";
import { z } from "zod";
import { HAError } from "../core/errors.ts";
import { DEFAULT_SCALING, SCALED_POOLS, type ScalingPolicy } from "../core/scaling.ts";
import { readFileIfThere, writeFileAtomically } from "./atomic-file.ts";

/**
 * What a deployment writes about itself, `DATA/deployment.json`: what was asked for, which addresses were given out,
 * and where its supervisor answers. Together with what each process noted of itself (`DATA/run`, and beside each
 * store's data) it is enough to find a running deployment again, take it over, stop it, or start it as it was.
 * Only the holder of the supervisor's lock writes it; everybody may read it at any moment.
 *
 * Grows by optional fields within a version. A release that must change a field's meaning raises the version, and
 * older releases then refuse the folder instead of misreading it.
 */
export const DEPLOYMENT_VERSION = 1;

export const poolSize = z.number().int().min(0);
const port = z.number().int().min(0).max(65_535);

/** What a change of policy may say. */
export const policyChangeSchema = z
  .object({
    auto: z.boolean(),
    min: z.number().int().min(1),
    max: z.number().int().min(1),
    growAfterMs: z.number().min(0),
    cooldownMs: z.number().min(0),
    shrinkAfterMs: z.number().min(0),
    queueDelayMs: z.number().min(1),
    connections: z.number().int().min(1),
  } satisfies Record<keyof ScalingPolicy, z.ZodType>)
  .partial();

/** What an older release did not write has its default. */
const policySchema = policyChangeSchema.transform((said): ScalingPolicy => ({ ...DEFAULT_SCALING, ...said }));

export const desiredSchema = z.object({
  topology: z.literal("v2"),
  /** Public port asked for; 0 is any free one. */
  port,
  gateways: poolSize,
  workers: poolSize,
  /** How the pools are sized; where it is automatic, the sizes above are those decided last. */
  scaling: z
    .object({ gateway: policySchema, worker: policySchema })
    .default({ gateway: DEFAULT_SCALING, worker: DEFAULT_SCALING }),
  /** Sizes of worker pools that serve no tenants but their own, by name. */
  dedicated: z.record(z.string(), poolSize).default({}),
  /** Sessions that one worker executes at once; null is the worker's default. */
  slots: z.number().int().min(1).nullable().default(null),
  /** OpenClaw's own configuration, absolute; null is one agent on the demo model. */
  openclawConfig: z.string().nullable(),
  /** Hash of its text: where it changes, instances start again. */
  configRevision: z.string().nullable().default(null),
  logLevel: z.string().default("info"),
  /** Addresses of external stores are in secrets.json: a URL may hold a password. */
  postgres: z.object({ mode: z.enum(["embedded", "external"]) }),
  redis: z.object({ mode: z.enum(["local", "external"]) }),
  nats: z.object({ mode: z.enum(["none", "external"]) }),
  objects: z.discriminatedUnion("mode", [
    z.object({ mode: z.literal("directory") }),
    z.object({
      mode: z.literal("s3"),
      endpoint: z.string().nullable(),
      bucket: z.string(),
      region: z.string(),
    }),
  ]),
  /** OpenClaw's built Control UI, absolute; null where none is known. */
  controlUi: z.string().nullable(),
});

/** What `up` was asked for, defaults filled in. */
export type DesiredTopology = z.infer<typeof desiredSchema>;

const observationSchema = z.object({
  at: z.string(),
  tenants: z.array(z.object({ id: z.string(), pool: z.string(), disabled: z.literal(true).optional() })),
  queue: z.object({ ready: z.number(), running: z.number(), oldestReadyMs: z.number() }),
  sizes: z
    .array(
      z.object({
        pool: z.enum(SCALED_POOLS),
        desired: z.number(),
        decisions: z.array(
          z.object({
            pool: z.enum(SCALED_POOLS),
            from: z.number(),
            to: z.number(),
            reason: z.string(),
            by: z.string(),
            at: z.number(),
          }),
        ),
      }),
    )
    .optional(),
});

/** Tenants, queue and sizes of pools as Postgres last told them. */
export type Observation = z.infer<typeof observationSchema>;

/** A checkout of this program that instances run from. */
export const programSchema = z.object({
  /** Absolute. */
  root: z.string(),
  version: z.string(),
  /** Names the upgrade that brought it, so that each upgrade starts every instance anew; empty before the first. */
  revision: z.string(),
});

export type DeploymentProgram = z.infer<typeof programSchema>;

const deploymentSchema = z.object({
  version: z.literal(DEPLOYMENT_VERSION),
  /** Marks this deployment's processes in their environment, so that no other process is taken for one of them. */
  deploymentId: z.string(),
  name: z.string(),
  desired: desiredSchema.nullable(),
  phase: z.enum(["starting", "ready", "degraded", "stopping", "stopped"]),
  /** Kept over restarts, so that addresses stay: `public`, `postgres`, `redis`, `gateway-1`, … */
  ports: z.record(z.string(), port),
  /** Instances that an operator has drained: they stay away until the next `up` or `scale`. */
  drained: z.array(z.string()).default([]),
  /** What instances run from; null where an older release wrote this, which knew its own alone. */
  program: programSchema.nullable().default(null),
  /** An upgrade to `program` that has not ended: whoever takes over ends it, or goes back to `from`. */
  upgrade: z.object({ from: programSchema, startedAt: z.string() }).nullable().default(null),
  supervisor: z
    .object({ pid: z.number().int().positive(), birth: z.string(), url: z.string(), token: z.string() })
    .nullable(),
  observation: observationSchema.nullable(),
  /** Why the last `up` did not reach ready; null once one did. */
  failure: z
    .object({ code: z.string(), message: z.string(), hint: z.string().nullable(), at: z.string() })
    .nullable(),
});

export type DeploymentState = z.infer<typeof deploymentSchema>;

/** Where the parts of a deployment lie under its data directory. */
export const deploymentPaths = (dataDir: string) =>
  ({
    state: path.join(dataDir, "deployment.json"),
    secrets: path.join(dataDir, "secrets.json"),
    lock: path.join(dataDir, "supervisor.lock"),
    logs: path.join(dataDir, "logs"),
    /** Which process runs each instance (instance-records.ts). */
    run: path.join(dataDir, "run"),
    postgres: path.join(dataDir, "postgres"),
    redis: path.join(dataDir, "redis"),
    objects: path.join(dataDir, "objects"),
    /** Tokens given out by `tenant` (tenant-tokens.ts). */
    tenants: path.join(dataDir, "tenants"),
  }) as const;

/** A deployment that was never started. */
export const newDeployment = (name: string, deploymentId: string): DeploymentState => ({
  version: DEPLOYMENT_VERSION,
  deploymentId,
  name,
  desired: null,
  phase: "stopped",
  ports: {},
  drained: [],
  program: null,
  upgrade: null,
  supervisor: null,
  observation: null,
  failure: null,
});

/**
 * The deployment of a data directory, or null where there is none.
 * @throws HAError CONFIG_INVALID when the file is of a newer release or damaged
 */
export async function readDeployment(dataDir: string): Promise<DeploymentState | null> {
  const file = deploymentPaths(dataDir).state;
  const text = await readFileIfThere(file);
  return text === null ? null : parseDeployment(text, file);
}

/** @throws HAError CONFIG_INVALID as readDeployment */
export function parseDeployment(text: string, file: string): DeploymentState {
  const value = parseJson(text, file);
  refuseNewer(value, DEPLOYMENT_VERSION, file);
  const parsed = deploymentSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw damaged(file, parsed.error);
}

/**
 * A file of a newer release is left as it is: what it says may mean something else there.
 * @throws HAError CONFIG_INVALID
 */
export function refuseNewer(value: unknown, known: number, file: string): void {
  const version = (value as { version?: unknown } | null)?.version;
  if (typeof version !== "number" || version <= known) return;
  throw new HAError(
    "CONFIG_INVALID",
    `${file} was written by a newer release (version ${version}; this one knows ${known})`,
    { file, version, known, hint: "use that release, or another --name or --data-dir" },
  );
}

/** Writes it so that a crash at any moment leaves the old or the new state. */
export const writeDeployment = (dataDir: string, state: DeploymentState): Promise<void> =>
  writeFileAtomically(deploymentPaths(dataDir).state, `${JSON.stringify(state, null, 2)}\n`);

/** @throws HAError CONFIG_INVALID */
export function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw damaged(file, error);
  }
}

/** A file of ours that cannot be understood: it is never overwritten, since it may name running processes. */
export function damaged(file: string, cause: unknown): HAError {
  const problems =
    cause instanceof z.ZodError
      ? cause.issues.map((issue) => `${issue.path.join(".") || "(root)"}: ${issue.message}`)
      : [cause instanceof Error ? cause.message : String(cause)];
  return new HAError("CONFIG_INVALID", `${file} is damaged`, {
    file,
    problems,
    hint: "restore it from a backup, or start afresh with another --name or --data-dir",
  });
}
