import { isHAError } from "../../server/core/errors.ts";
import type { TenantId } from "../../server/core/ids.ts";
import { noTenant, type TenantDirectory, type TenantRecord } from "../../server/ports/directory.ts";
import type { CliContext } from "../context.ts";

/** Tenants of a deployment, and where their tokens are kept on this machine; null where there is no deployment here. */
export interface OpenDirectory {
  readonly directory: TenantDirectory;
  readonly dataDir: string | null;
}

/**
 * Opens the tenants with the owner's access of the deployment on this machine or, where there is none, of
 * OPENCLAW_HA_POSTGRES_URL, hands them to `use` and closes them again.
 * @throws HAError NOT_RUNNING when there is neither; STORE_UNAVAILABLE
 */
export async function withDirectory<T>(
  context: CliContext,
  use: (opened: OpenDirectory) => Promise<T>,
): Promise<T> {
  const { adminUrl, dataDir } = await access(context);
  const directory = await context.openDirectory(adminUrl);
  try {
    return await use({ directory, dataDir });
  } finally {
    await directory.close();
  }
}

/** @throws HAError NOT_FOUND */
export async function knownTenant(directory: TenantDirectory, id: TenantId): Promise<TenantRecord> {
  const tenant = (await directory.tenants()).find((known) => known.id === id);
  if (tenant === undefined) throw noTenant(id);
  return tenant;
}

async function access(context: CliContext): Promise<{ adminUrl: string; dataDir: string | null }> {
  const { loadDeployment } = await import("../deployment.ts");
  try {
    const { addresses } = await loadDeployment(context.deployment);
    return { adminUrl: addresses.postgresAdminUrl, dataDir: context.deployment.dataDir };
  } catch (error) {
    const adminUrl = context.env["OPENCLAW_HA_POSTGRES_URL"];
    if (!isHAError(error, "NOT_RUNNING") || !adminUrl) throw error;
    return { adminUrl, dataDir: null };
  }
}
