import { createHmac, timingSafeEqual } from "node:crypto";
import type { TenantId } from "../../core/ids.ts";
import type { Clock } from "../../ports/clock.ts";

/** How long a picture's address is good, in milliseconds; OpenClaw's. Clients ask for a new one before. */
const GOOD_FOR_MS = 300_000;

export interface MediaTicket {
  readonly mediaTicket: string;
  readonly mediaTicketExpiresAt: string;
}

/** Tickets that stand in the address of a picture, where a browser sends no token. Every gateway knows all of them. */
export interface MediaTickets {
  /** @throws HAError STORE_UNAVAILABLE while the shared secret cannot be read for the first time */
  issue(tenant: TenantId, source: string): Promise<MediaTicket>;
  /** The tenant that the ticket was given to for this source; null for one that is not good. Errors as `issue`. */
  check(ticket: string, source: string): Promise<TenantId | null>;
}

export function mediaTickets(clock: Clock, sharedSecret: () => Promise<Uint8Array>): MediaTickets {
  let secret: Promise<Uint8Array> | null = null;
  const sign = async (payload: string): Promise<Buffer> => {
    secret ??= sharedSecret().catch((error: unknown) => {
      secret = null; // the next one may find it
      throw error;
    });
    return createHmac("sha256", await secret)
      .update(payload)
      .digest();
  };
  return {
    async issue(tenant, source) {
      const exp = clock.now() + GOOD_FOR_MS;
      const payload = Buffer.from(JSON.stringify({ tenant, source, exp })).toString("base64url");
      return {
        mediaTicket: `v1.${payload}.${(await sign(payload)).toString("base64url")}`,
        mediaTicketExpiresAt: new Date(exp).toISOString(),
      };
    },
    async check(ticket, source) {
      const [version, payload = "", signature = "", ...more] = ticket.split(".");
      if (version !== "v1" || more.length > 0) return null;
      const [expected, given] = [await sign(payload), Buffer.from(signature, "base64url")];
      if (given.length !== expected.length || !timingSafeEqual(given, expected)) return null;
      const told = JSON.parse(Buffer.from(payload, "base64url").toString("utf8")) as {
        readonly tenant: TenantId;
        readonly source: string;
        readonly exp: number;
      };
      return told.source === source && told.exp > clock.now() ? told.tenant : null;
    },
  };
}
