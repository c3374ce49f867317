import { HAError } from "../../core/errors.ts";
import type { EventBus } from "../../ports/event-bus.ts";

/** The bus of a deployment with neither Redis nor NATS: always away, so that followers poll the ledger. */
export function noEventBus(): EventBus {
  const away = (): Promise<never> =>
    Promise.reject(new HAError("STORE_UNAVAILABLE", "neither Redis nor NATS is configured: no live events"));
  const silent = (): Promise<() => Promise<void>> => Promise.resolve(() => Promise.resolve());
  return {
    capabilities: { history: false },
    publish: away,
    publishMany: away,
    replay: () => Promise.resolve(null),
    subscribe: silent,
    notify: away,
    signal: away,
    subscribeSignals: silent,
    healthy: () => false,
    close: () => Promise.resolve(),
  };
}
