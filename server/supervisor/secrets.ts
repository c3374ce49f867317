import { randomBytes } from "node:crypto";
import { z } from "zod";
import { readFileIfThere, writeFileAtomically } from "./atomic-file.ts";
import type { ApplyRequest } from "./contract.ts";
import { damaged, deploymentPaths, parseJson, refuseNewer } from "./deployment.ts";

const SECRETS_VERSION = 1;

const secretsSchema = z.object({
  version: z.literal(SECRETS_VERSION),
  /** Role `openclaw_ha_app`, which serving processes log in as where we run PostgreSQL ourselves. */
  postgresAppPassword: z.string(),
  /** Gateway token of tenant `default`; `gateway.auth.token` of openclaw.json goes before it. */
  gatewayToken: z.string(),
  /** Addresses of stores, passwords included; those of embedded stores from when they first ran. */
  urls: z.object({
    /** Owner's access: migrations, doctor. */
    postgresAdmin: z.string().optional(),
    /** What serving processes use. */
    postgres: z.string().optional(),
    redis: z.string().optional(),
    nats: z.string().optional(),
  }),
  /**
   * Variables that instances need and that a later supervisor may not have in its own environment: S3 keys, and what
   * openclaw.json refers to as ${NAME}.
   */
  environment: z.record(z.string(), z.string()),
});

/** `DATA/secrets.json`, mode 0600. Generated once; a restart never changes a password under a running store. */
export type DeploymentSecrets = z.infer<typeof secretsSchema>;

/** 256 bits as URL-safe text: it becomes part of connection strings. */
const random = (): string => randomBytes(32).toString("base64url");

export const newSecrets = (): DeploymentSecrets => ({
  version: SECRETS_VERSION,
  postgresAppPassword: random(),
  gatewayToken: random(),
  urls: {},
  environment: {},
});

/**
 * The secrets of a data directory, or null where there are none yet.
 * @throws HAError CONFIG_INVALID when the file is damaged or of a newer release
 */
export async function readSecrets(dataDir: string): Promise<DeploymentSecrets | null> {
  const file = deploymentPaths(dataDir).secrets;
  const text = await readFileIfThere(file);
  if (text === null) return null;
  const value = parseJson(text, file);
  refuseNewer(value, SECRETS_VERSION, file);
  const parsed = secretsSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw damaged(file, parsed.error);
}

export const writeSecrets = (dataDir: string, secrets: DeploymentSecrets): Promise<void> =>
  writeFileAtomically(deploymentPaths(dataDir).secrets, `${JSON.stringify(secrets, null, 2)}\n`);

/** What `up` was given goes before what is kept. */
export function mergeSecrets(kept: DeploymentSecrets, given: ApplyRequest["secrets"]): DeploymentSecrets {
  const { postgresUrl, redisUrl, natsUrl } = given;
  return {
    ...kept,
    gatewayToken: given.gatewayToken ?? kept.gatewayToken,
    environment: { ...(given.environment ?? kept.environment) },
    urls: {
      ...kept.urls,
      ...(postgresUrl === undefined ? {} : { postgresAdmin: postgresUrl, postgres: postgresUrl }),
      ...(redisUrl === undefined ? {} : { redis: redisUrl }),
      ...(natsUrl === undefined ? {} : { nats: natsUrl }),
    },
  };
}
