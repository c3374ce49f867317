import { HAError } from "../../core/errors.ts";
import type { RunQueue } from "../../ports/run-queue.ts";

/** The queue of a deployment without Redis: always away, so that workers poll Postgres (claimReady). */
export function noRunQueue(): RunQueue {
  const away = (): Promise<never> =>
    Promise.reject(new HAError("STORE_UNAVAILABLE", "no Redis is configured: workers poll PostgreSQL"));
  return {
    enqueue: away,
    take: away,
    done: away,
    reclaim: away,
    workers: away,
    depth: away,
    epoch: away,
    close: () => Promise.resolve(),
  };
}
