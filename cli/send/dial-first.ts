import { isHAError } from "../../server/core/errors.ts";
import type { Clock } from "../../server/ports/clock.ts";
import type { GatewaySession } from "./gateway-session.ts";

/** Handshakes take milliseconds; a gateway that needs longer than this is worth a second call elsewhere. */
const PATIENCE_MS = 300;
const CALLS_MAX = 8;

/**
 * Dials an address that several gateways share, and again while nobody has answered: a gateway that is paused or
 * stuck still takes connections, and each call may come to another one. The first that answers is kept.
 * @param dial must end when its signal aborts
 * @throws HAError as the last call failed; at once where a gateway refused, since the others would as well
 */
export async function dialFirst(
  dial: (signal: AbortSignal) => Promise<GatewaySession>,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<GatewaySession> {
  const first = Promise.withResolvers<GatewaySession>();
  const over = new AbortController();
  let waiting = 0;
  let settled = false;

  const call = (): void => {
    waiting++;
    // Only what has not answered is ended with the others: the one that is kept heeds its user alone.
    const own = new AbortController();
    const giveUp = (): void => own.abort();
    over.signal.addEventListener("abort", giveUp);
    dial(AbortSignal.any([signal, own.signal])).then(
      (session) => {
        over.signal.removeEventListener("abort", giveUp);
        if (settled) session.close();
        else first.resolve(session);
        return (settled = true);
      },
      (error: unknown) => {
        waiting--;
        if (waiting === 0 || !isHAError(error, "STORE_UNAVAILABLE")) first.reject(error);
        return false;
      },
    );
  };

  const answered = first.promise.then(
    () => "settled" as const,
    () => "settled" as const,
  );
  call();
  try {
    for (let calls = 1; calls < CALLS_MAX; calls++) {
      const pause = clock.sleep(PATIENCE_MS, over.signal).then(() => "nobody yet" as const);
      if ((await Promise.race([answered, pause])) !== "nobody yet") break;
      call();
    }
    return await first.promise;
  } finally {
    settled = true;
    over.abort();
  }
}
