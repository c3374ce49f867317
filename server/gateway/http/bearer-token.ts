import type { IncomingMessage } from "node:http";
import type { Principal } from "../../ports/directory.ts";
import type { GatewayContext } from "../context.ts";

/** Who asks, by `Authorization: Bearer TOKEN`; null without a token, or with one that opens nothing. */
export async function principalOf(
  { authenticator }: GatewayContext,
  { headers }: IncomingMessage,
): Promise<Principal | null> {
  const token = /^bearer\s+(\S+)$/i.exec(headers.authorization?.trim() ?? "")?.[1];
  return token === undefined ? null : authenticator.authenticate(token);
}
