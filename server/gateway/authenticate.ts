import { hash } from "node:crypto";
import { HAError } from "../core/errors.ts";
import type { Clock } from "../ports/clock.ts";
import type { Principal, TenantDirectory } from "../ports/directory.ts";
import { tokenBuckets } from "./rate-limit.ts";

/** How long a token that was good stays good without asking again; a revoked one lives on that long. */
const GOOD_FOR_MS = 5_000;
const CACHE_MAX = 10_000;
/** Longest token that is looked up. */
const TOKEN_MAX_LENGTH = 4_096;
/** How long a wrong token is refused without asking again: a client in a reconnect loop costs nothing. */
const WRONG_FOR_MS = 5_000;
/**
 * Lookups of wrong tokens per gateway; beyond it unknown tokens wait. Not per address: behind a load balancer all
 * clients share one, and a single misconfigured client would lock out the others.
 */
const WRONG_PER_SECOND = 200;
const WRONG_BURST = 1_000;

export interface Authenticator {
  /**
   * Null for a token that is not good.
   * @throws HAError STORE_UNAVAILABLE when the directory does not answer
   * @throws HAError OVERLOADED while too many wrong tokens are being tried; tokens in use are not concerned
   */
  authenticate(token: string): Promise<Principal | null>;
}

/**
 * Asks the directory, remembers good tokens for five seconds (a reconnect storm costs one read per token), shares one
 * read between those who ask at once, and bounds how many wrong ones are looked up. Tokens are kept as hashes. `found` is
 * told of each answer of the directory.
 */
export function authenticator(
  directory: TenantDirectory,
  clock: Clock,
  found: (principal: Principal) => void,
): Authenticator {
  const good = new Map<string, { readonly principal: Principal; readonly until: number }>();
  const asking = new Map<string, Promise<Principal | null>>();
  const wrong = new Map<string, number>();
  const guesses = tokenBuckets({ perSecond: WRONG_PER_SECOND, burst: WRONG_BURST, clock });

  const ask = async (token: string, key: string): Promise<Principal | null> => {
    const principal = await directory.authenticate(token);
    if (principal === null) {
      good.delete(key);
      if (wrong.size >= CACHE_MAX) wrong.clear();
      wrong.set(key, clock.monotonic() + WRONG_FOR_MS);
      guesses.take("");
    } else {
      found(principal);
      if (good.size >= CACHE_MAX) good.clear();
      good.set(key, { principal, until: clock.monotonic() + GOOD_FOR_MS });
    }
    return principal;
  };

  return {
    async authenticate(token) {
      if (token === "" || token.length > TOKEN_MAX_LENGTH) return null;
      const key = hash("sha256", token, "base64");
      const now = clock.monotonic();
      const known = good.get(key);
      if (known && known.until > now) return known.principal;
      if ((wrong.get(key) ?? 0) > now) return null;
      if (guesses.empty("")) {
        throw new HAError(
          "OVERLOADED",
          "unauthorized: too many failed authentication attempts (retry later)",
          {
            code: "AUTH_RATE_LIMITED",
            authReason: "rate_limited",
            retryAfterMs: 1_000,
          },
        );
      }
      let asked = asking.get(key);
      if (!asked) {
        asked = ask(token, key).finally(() => asking.delete(key));
        asking.set(key, asked);
      }
      return asked;
    },
  };
}
