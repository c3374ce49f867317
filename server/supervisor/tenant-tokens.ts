import path from "node:path";
import { z } from "zod";
import type { TenantId } from "../core/ids.ts";
import { readFileIfThere, writeFileAtomically } from "./atomic-file.ts";
import { damaged, deploymentPaths, parseJson, refuseNewer } from "./deployment.ts";

const TOKEN_VERSION = 1;

const keptSchema = z.object({
  version: z.literal(TOKEN_VERSION),
  token: z.string().min(1),
  /** The token's label in the directory. */
  label: z.string(),
});

/** The token of a tenant that `env --tenant` and `send --tenant` use. */
export type KeptToken = Omit<z.infer<typeof keptSchema>, "version">;

/**
 * Tokens of tenants, `DATA/tenants/TENANT.json`, mode 0600: the database has only their hashes. Not in secrets.json,
 * which the supervisor alone writes; here each tenant is a file, so that commands need no supervisor and never
 * overwrite one another's.
 */
const fileOf = (dataDir: string, tenant: TenantId): string =>
  path.join(deploymentPaths(dataDir).tenants, `${tenant}.json`);

/**
 * Null where none is kept: the tenant was added elsewhere.
 * @throws HAError CONFIG_INVALID when the file is damaged or of a newer release
 */
export async function readTenantToken(dataDir: string, tenant: TenantId): Promise<KeptToken | null> {
  const file = fileOf(dataDir, tenant);
  const text = await readFileIfThere(file);
  if (text === null) return null;
  const value = parseJson(text, file);
  refuseNewer(value, TOKEN_VERSION, file);
  const parsed = keptSchema.safeParse(value);
  if (!parsed.success) throw damaged(file, parsed.error);
  const { token, label } = parsed.data;
  return { token, label };
}

export const keepTenantToken = (dataDir: string, tenant: TenantId, kept: KeptToken): Promise<void> =>
  writeFileAtomically(fileOf(dataDir, tenant), `${JSON.stringify({ version: TOKEN_VERSION, ...kept })}\n`);
