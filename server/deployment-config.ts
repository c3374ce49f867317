import { readFileSync } from "node:fs";
import path from "node:path";
import { isMap, isSeq, LineCounter, type Node, parseDocument } from "yaml";
import { z } from "zod";
import { HAError } from "./core/errors.ts";
import { SCALED_POOLS, type ScaledPool, type ScalingPolicy } from "./core/scaling.ts";
import { substituteReferences } from "./openclaw-config/env-references.ts";

/** What openclaw-ha.yaml says about a deployment; what it leaves out is decided by flags, environment and defaults. */
export interface DeploymentFile {
  readonly topology?: string;
  readonly port?: number;
  readonly gateways?: number;
  readonly workers?: number;
  /** Sessions that one worker executes at once. */
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

const POOL_MAX = 256;
const size = z.number().int().min(0).max(POOL_MAX);
const limit = z.number().int().min(1).max(POOL_MAX);
const seconds = z.number().min(0).max(86_400);
/** `gateway: 3` or `gateway: { instances: 3, min: 2, max: 6 }`. */
const pool = z.union([
  size.transform((instances) => ({ instances, min: undefined, max: undefined })),
  z.strictObject({ instances: size.optional(), min: limit.optional(), max: limit.optional() }),
]);
/** How sizes are decided where they are automatic; the limits stand beside the sizes. */
const scaling = z.strictObject({
  auto: z.boolean().optional(),
  growAfterSeconds: seconds.optional(),
  cooldownSeconds: seconds.optional(),
  shrinkAfterSeconds: seconds.optional(),
  queueDelaySeconds: seconds.min(0.001).optional(),
  connectionsPerGateway: z.number().int().min(1).optional(),
});
const store = z.strictObject({ url: z.string().min(1) });

/** Closed at every level: a key that has no effect is an error, so that nobody relies on it. */
const schema = z.strictObject({
  topology: z.enum(["v0", "v1", "v2"]).optional(),
  port: z.number().int().min(0).max(65_535).optional(),
  logLevel: z.enum(["debug", "info", "warn", "error", "silent"]).optional(),
  openclaw: z.strictObject({ config: z.string().optional(), controlUi: z.string().optional() }).optional(),
  pools: z.strictObject({ gateway: pool.optional(), worker: pool.optional() }).optional(),
  scaling: scaling.optional(),
  stores: z
    .strictObject({
      postgres: store.optional(),
      redis: store.optional(),
      nats: store.optional(),
      s3: z
        .strictObject({
          bucket: z.string().min(1),
          endpoint: z.string().optional(),
          region: z.string().optional(),
        })
        .optional(),
    })
    .optional(),
  limits: z.strictObject({ sessionsPerWorker: z.number().int().min(1).max(4_096).optional() }).optional(),
});

/**
 * Reads openclaw-ha.yaml: topology, pools, stores and limits. `${NAME}` in a value is taken from the environment, so
 * that no password needs to stand in the file; paths are relative to it.
 * @throws HAError CONFIG_INVALID with every error in `details.problems`, each with line, column and key
 */
export function loadDeploymentFile(
  file: string,
  env: Readonly<Record<string, string | undefined>>,
): DeploymentFile {
  return parseDeploymentFile(readText(file), file, env);
}

/** As loadDeploymentFile, from text. */
export function parseDeploymentFile(
  text: string,
  file: string,
  env: Readonly<Record<string, string | undefined>>,
): DeploymentFile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const placeAt = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${file}:${line}:${col}: `;
  };
  if (document.errors.length > 0) {
    throw invalid(
      file,
      document.errors.map(({ message, pos }) => `${placeAt(pos[0])}${message}`),
    );
  }
  const problems: string[] = [];
  const report = (key: readonly PropertyKey[], message: string): void => {
    const name = key.length === 0 ? "" : `${key.map(String).join(".")}: `;
    problems.push(`${placeAt(offsetOf(document.contents, key))}${name}${message}`);
  };
  const { value, unresolved } = substituteReferences(document.toJS() ?? {}, (name) => env[name]);
  for (const { name, path: key } of unresolved) report(key, `environment variable ${name} is not set`);
  const parsed = schema.safeParse(value);
  for (const issue of parsed.error?.issues ?? []) {
    if (issue.code !== "unrecognized_keys") report(issue.path, issue.message);
    else for (const key of issue.keys) report([...issue.path, key], "unknown key");
  }
  if (parsed.data === undefined || problems.length > 0) throw invalid(file, problems);
  const { limits, logLevel, openclaw, pools, port, scaling: sizing, stores, topology } = parsed.data;
  const relative = (written: string | undefined): string | undefined =>
    written === undefined ? undefined : path.resolve(path.dirname(file), written);
  return said<DeploymentFile>({
    topology,
    port,
    logLevel,
    gateways: pools?.gateway?.instances,
    workers: pools?.worker?.instances,
    slots: limits?.sessionsPerWorker,
    openclawConfig: relative(openclaw?.config),
    controlUi: relative(openclaw?.controlUi),
    postgresUrl: stores?.postgres?.url,
    redisUrl: stores?.redis?.url,
    natsUrl: stores?.nats?.url,
    s3: stores?.s3,
    scaling: scalingOf(sizing, pools),
  });
}

/** Undefined where the file says nothing of it. */
function scalingOf(
  sizing: z.infer<typeof scaling> | undefined,
  pools: { readonly [Pool in ScaledPool]?: z.infer<typeof pool> | undefined } | undefined,
): DeploymentFile["scaling"] {
  const ms = (value: number | undefined): number | undefined =>
    value === undefined ? undefined : value * 1_000;
  const common = {
    auto: sizing?.auto,
    growAfterMs: ms(sizing?.growAfterSeconds),
    cooldownMs: ms(sizing?.cooldownSeconds),
    shrinkAfterMs: ms(sizing?.shrinkAfterSeconds),
    queueDelayMs: ms(sizing?.queueDelaySeconds),
    connections: sizing?.connectionsPerGateway,
  };
  const of = (name: ScaledPool): Partial<ScalingPolicy> =>
    said({ ...common, min: pools?.[name]?.min, max: pools?.[name]?.max });
  const policies = { gateway: of("gateway"), worker: of("worker") };
  return SCALED_POOLS.some((name) => Object.keys(policies[name]).length > 0) ? policies : undefined;
}

/** Leaves out what was not said, so that a weaker choice is not overwritten. */
const said = <T extends object>(all: { readonly [K in keyof T]: T[K] | undefined }): T =>
  Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as T;

/** Where a key stands; for one that is missing, where its nearest parent does. */
function offsetOf(root: Node | null, key: readonly PropertyKey[]): number {
  let node: unknown = root;
  let offset = root?.range?.[0] ?? 0;
  for (const part of key) {
    if (isMap(node)) {
      const pair = node.items.find(({ key: name }) => String(name) === String(part));
      if (pair === undefined) return offset;
      offset = (pair.key as Node | null)?.range?.[0] ?? offset;
      node = pair.value;
    } else if (isSeq(node)) {
      node = node.items[Number(part)];
      offset = (node as Node | undefined)?.range?.[0] ?? offset;
    } else return offset;
  }
  return offset;
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw invalid(file, [`${file}: ${(error as Error).message}`], { cause: error });
  }
}

const invalid = (file: string, problems: readonly string[], options?: ErrorOptions): HAError =>
  new HAError(
    "CONFIG_INVALID",
    `${file} has ${problems.length === 1 ? "an error" : `${problems.length} errors`}`,
    { file, problems },
    options,
  );
