import { HAError } from "../core/errors.ts";
import type { GatewayContext } from "./context.ts";

/** Time between two looks, in milliseconds: as long as a token that was good stays good (authenticate.ts). */
const LOOK_EVERY_MS = 5_000;

/**
 * Looks again at the tokens of the clients that are connected: closes the connections of those that are not good any
 * more, because they were revoked or have expired, or because their tenant was disabled or removed, and takes note of
 * what limits the tenants of the others have now. Nobody is sent away while the directory does not answer.
 *
 * Resolves when the signal aborts.
 */
export async function watchAccess(gateway: GatewayContext, signal: AbortSignal): Promise<void> {
  const { clock, logger } = gateway;
  let failing = false;
  while (!signal.aborted) {
    await clock.sleep(LOOK_EVERY_MS, signal);
    if (signal.aborted) return;
    try {
      await lookAtTokens(gateway);
      failing = false;
    } catch (error) {
      if (!failing) logger.warn("gateway.shut_out.failed", { error: String(error) });
      failing = true;
    }
  }
}

/** @throws HAError STORE_UNAVAILABLE */
async function lookAtTokens(gateway: GatewayContext): Promise<void> {
  const { answers, connections, directory, logger, tenantLimits } = gateway;
  tenantLimits.tidy();
  const asked = new Set(answers.tokenIds());
  for (const { tokenId } of connections) if (tokenId !== null) asked.add(tokenId);
  if (asked.size === 0) return;
  const good = await directory.goodTokens([...asked]);
  for (const { tenant, limits } of good.values()) tenantLimits.note(tenant, limits);
  if (good.size === asked.size) return;
  const isGone = (tokenId: string): boolean => asked.has(tokenId) && !good.has(tokenId);
  for (const connection of connections) {
    const { tenant, tokenId } = connection;
    if (tokenId === null || !isGone(tokenId)) continue;
    logger.info("gateway.shut_out", { tenant });
    connection.close(1008, "access revoked");
  }
  answers.cutTokens(isGone, new HAError("FORBIDDEN", "this token was revoked, or its tenant is disabled"));
}
