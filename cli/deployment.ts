import { HAError } from "../server/core/errors.ts";
import { tenantId } from "../server/core/ids.ts";
import { type DeploymentAddresses, deploymentAddresses } from "../server/supervisor/addresses.ts";
import { type DeploymentState, readDeployment } from "../server/supervisor/deployment.ts";
import { type DeploymentSecrets, readSecrets } from "../server/supervisor/secrets.ts";
import { readTenantToken } from "../server/supervisor/tenant-tokens.ts";
import type { CliContext, DeploymentRef } from "./context.ts";

/** A deployment as its data directory describes it; whether it runs now is another question. */
export interface LocalDeployment {
  readonly state: DeploymentState;
  readonly secrets: DeploymentSecrets;
  readonly addresses: DeploymentAddresses;
}

/**
 * @throws HAError NOT_RUNNING when it was never started
 * @throws HAError CONFIG_INVALID when its files are damaged or of a newer release
 */
export async function loadDeployment(ref: DeploymentRef): Promise<LocalDeployment> {
  const [state, secrets] = await Promise.all([readDeployment(ref.dataDir), readSecrets(ref.dataDir)]);
  const addresses = state && secrets ? deploymentAddresses(ref.dataDir, state, secrets) : null;
  if (state === null || secrets === null || addresses === null) {
    throw new HAError("NOT_RUNNING", `there is no deployment ${JSON.stringify(ref.name)} in ${ref.dataDir}`, {
      dataDir: ref.dataDir,
      hint: "start one with `openclaw-ha up`, or pick another one with --name or --data-dir",
    });
  }
  return { state, secrets, addresses };
}

/** Where a gateway of the deployment is reached, and as whom. */
export interface GatewayAccess {
  readonly url: string;
  readonly token: string;
}

/**
 * `OPENCLAW_HA_GATEWAY_URL` and `OPENCLAW_HA_GATEWAY_TOKEN` point at a gateway that was not started here.
 * @throws HAError as loadDeployment and tokenOf
 */
export async function gatewayAccess(context: CliContext, tenant: string): Promise<GatewayAccess> {
  const { env } = context;
  const remote = env["OPENCLAW_HA_GATEWAY_URL"];
  if (remote) {
    const token = env["OPENCLAW_HA_GATEWAY_TOKEN"] || env["OPENCLAW_GATEWAY_TOKEN"];
    if (!token) {
      throw new HAError("UNAUTHORIZED", "OPENCLAW_HA_GATEWAY_URL is set, but no token for it", {
        hint: "set OPENCLAW_HA_GATEWAY_TOKEN",
      });
    }
    return { url: remote, token };
  }
  const { addresses, state } = await loadDeployment(context.deployment);
  if (state.phase === "stopped") {
    throw new HAError("NOT_RUNNING", `deployment ${JSON.stringify(state.name)} is stopped`, {
      hint: "start it with `openclaw-ha up`",
    });
  }
  return { url: addresses.gatewayUrl, token: await tokenOf(context, tenant, addresses) };
}

/**
 * A token of a tenant: `default`'s is in the deployment's secrets, another one's among its files, where `tenant` gave
 * it out on this machine, or else in OPENCLAW_GATEWAY_TOKEN. That variable says nothing of whose token it is: after
 * `eval "$(openclaw-ha env)"` it is `default`'s, which is not taken for another tenant's.
 * @throws HAError REQUEST_INVALID for what cannot be a tenant's id; UNAUTHORIZED where no token is known
 */
export async function tokenOf(
  { deployment, env }: CliContext,
  tenant: string,
  addresses: DeploymentAddresses,
): Promise<string> {
  const id = tenantId(tenant);
  if (id === "default") return addresses.gatewayToken;
  const kept = await readTenantToken(deployment.dataDir, id);
  if (kept !== null) return kept.token;
  const given = env["OPENCLAW_GATEWAY_TOKEN"];
  if (given && given !== addresses.gatewayToken) return given;
  throw new HAError("UNAUTHORIZED", `no token of tenant ${JSON.stringify(tenant)} is known here`, {
    tenant,
    hint: `tokens are stored as hashes only: put one that you kept into OPENCLAW_GATEWAY_TOKEN, or make one with \`openclaw-ha tenant token ${tenant}\``,
  });
}
