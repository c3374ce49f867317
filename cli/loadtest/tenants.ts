import { isHAError } from "../../server/core/errors.ts";
import { tenantId } from "../../server/core/ids.ts";
import type { DeploymentAddresses } from "../../server/supervisor/addresses.ts";
import { readTenantToken } from "../../server/supervisor/tenant-tokens.ts";
import type { CliContext } from "../context.ts";
import { addTenant, giveToken } from "../tenants/give-token.ts";
import { withDirectory } from "../tenants/with-directory.ts";

export interface TenantToken {
  readonly id: string;
  readonly token: string;
}

const SHARED_POOL = "shared";
/** Tells the load test's own token from those that people made of the same tenant. */
const LABEL = "loadtest";

/**
 * So many tenants to load. One is `default`; more are load-1, load-2, …, added to the deployment where they are missing
 * and kept, with their tokens, for the next time.
 */
export async function loadTenants(
  context: CliContext,
  count: number,
  addresses: DeploymentAddresses,
): Promise<TenantToken[]> {
  if (count === 1) return [{ id: "default", token: addresses.gatewayToken }];
  const { dataDir } = context.deployment;
  return withDirectory(context, async (opened) => {
    const tokens: TenantToken[] = [];
    for (let n = 1; n <= count; n++) {
      const id = tenantId(`load-${n}`);
      const kept = await readTenantToken(dataDir, id);
      tokens.push({ id, token: kept?.token ?? (await newToken(opened, id)) });
    }
    return tokens;
  });
}

async function newToken(
  opened: Parameters<typeof addTenant>[0],
  id: ReturnType<typeof tenantId>,
): Promise<string> {
  try {
    return (await addTenant(opened, id, SHARED_POOL)).token;
  } catch (error) {
    // Somebody added it without a token that is kept here.
    if (!isHAError(error, "REQUEST_CONFLICT")) throw error;
    const wish = { label: LABEL, scopes: ["operator.admin"], replace: false };
    return (await giveToken(opened, id, wish)).token;
  }
}
