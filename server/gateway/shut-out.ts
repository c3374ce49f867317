import { HAError } from "../core/errors.ts";
import type { GatewayContext } from "./context.ts";

/** Time between two looks, in milliseconds: as long as a token that was good stays good (authenticate.ts). */
const LOOK_EVERY_MS = 5_000;

/**
 * Closes the connections of tenants that were disabled since they connected. Without it a client that stays connected
 * would go on reading. Nobody is sent away while the directory does not answer.
 *
 * Resolves when the signal aborts.
 */
export async function shutOutDisabled(gateway: GatewayContext, signal: AbortSignal): Promise<void> {
  const { clock, logger } = gateway;
  let failing = false;
  while (!signal.aborted) {
    await clock.sleep(LOOK_EVERY_MS, signal);
    if (signal.aborted) return;
    try {
      await closeDisabled(gateway);
      failing = false;
    } catch (error) {
      if (!failing) logger.warn("gateway.shut_out.failed", { error: String(error) });
      failing = true;
    }
  }
}

/** @throws HAError STORE_UNAVAILABLE */
async function closeDisabled({ answers, connections, directory, logger }: GatewayContext): Promise<void> {
  if (connections.size === 0 && answers.size === 0) return;
  const disabled = new Set(await directory.disabledTenants());
  if (disabled.size === 0) return;
  for (const connection of connections) {
    const { tenant } = connection;
    if (tenant === null || !disabled.has(tenant)) continue;
    logger.info("gateway.shut_out", { tenant });
    connection.close(1008, "tenant disabled");
  }
  answers.cutTenants(disabled, new HAError("FORBIDDEN", "this tenant is disabled"));
}
