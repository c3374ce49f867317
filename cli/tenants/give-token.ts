import { randomBytes } from "node:crypto";
import { HAError } from "../../server/core/errors.ts";
import { agentId, type TenantId } from "../../server/core/ids.ts";
import type { TenantRecord } from "../../server/ports/directory.ts";
import { keepTenantToken, readTenantToken } from "../../server/supervisor/tenant-tokens.ts";
import type { OpenDirectory } from "./with-directory.ts";

/** A token at the only moment at which it can be seen. */
export interface GivenToken {
  readonly token: string;
  readonly label: string;
  readonly scopes: readonly string[];
  /** True: `env --tenant` and `send --tenant` on this machine use it. */
  readonly kept: boolean;
}

export interface TokenWish {
  readonly label: string;
  readonly scopes: readonly string[];
  /** The tenant's other tokens of this label are void from then on. */
  readonly replace: boolean;
}

/** The label under which the supervisor keeps tenant `default`'s own token, and `addTenant` a tenant's first one. */
export const OPERATOR_LABEL = "operator";
const DEFAULT_TENANT = "default";

/**
 * Adds a tenant and gives out its first token, with all rights. Killed in between there is a tenant without a token,
 * which `tenant token` makes good.
 * @throws HAError REQUEST_CONFLICT when there is one of this id; REQUEST_INVALID for what cannot be a pool's name
 */
export async function addTenant(
  opened: OpenDirectory,
  id: TenantId,
  pool: string,
): Promise<TenantRecord & GivenToken> {
  const { directory } = opened;
  poolName(pool);
  if ((await directory.tenants()).some((tenant) => tenant.id === id)) {
    throw new HAError("REQUEST_CONFLICT", `there is a tenant ${id} already`, {
      tenant: id,
      hint: `make another token with \`openclaw-ha tenant token ${id}\``,
    });
  }
  const tenant = await directory.addTenant(id, pool);
  const wish = { label: OPERATOR_LABEL, scopes: ["operator.admin"], replace: false };
  return { ...tenant, ...(await giveToken(opened, id, wish)) };
}

/**
 * Makes a token of a tenant. The first one that this machine gives out is kept on it, and so is what replaces it.
 * @throws HAError NOT_FOUND; REQUEST_INVALID for the label of the deployment's own token
 */
export async function giveToken(
  { directory, dataDir }: OpenDirectory,
  tenant: TenantId,
  { label, scopes, replace }: TokenWish,
): Promise<GivenToken> {
  if (tenant === DEFAULT_TENANT && label === OPERATOR_LABEL) {
    throw new HAError("REQUEST_INVALID", `label ${label} of tenant default is the deployment's own token`, {
      hint: "choose another --label; `openclaw-ha env` prints that token",
    });
  }
  const token = randomBytes(32).toString("base64url");
  if (replace) await directory.replaceToken(tenant, token, scopes, label);
  else await directory.addToken(tenant, token, scopes, label);
  const keeps = dataDir !== null && tenant !== DEFAULT_TENANT;
  const kept = keeps ? await readTenantToken(dataDir, tenant) : null;
  const keep = keeps && (kept === null || (replace && kept.label === label));
  if (keep) await keepTenantToken(dataDir, tenant, { token, label });
  return { token, label, scopes, kept: keep };
}

/** Pools end up in stream keys and consumer groups, like agent ids. @throws HAError REQUEST_INVALID */
export function poolName(pool: string): void {
  try {
    agentId(pool);
  } catch {
    throw new HAError("REQUEST_INVALID", `--pool ${JSON.stringify(pool)} is not a pool name`, {
      hint: "use lower-case letters, digits, dashes and underscores, at most 64",
    });
  }
}
