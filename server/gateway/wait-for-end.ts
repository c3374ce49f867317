import { HAError } from "../core/errors.ts";
import type { RunId } from "../core/ids.ts";
import { isEnded } from "../core/run-state.ts";
import type { Call } from "./methods/registry.ts";
import { endOfRecord, type RunEnd } from "./run-view.ts";

/** @throws HAError OVERLOADED when the connection waits for too many runs already */
export function checkWaits({ gateway, connection }: Call): void {
  const limit = gateway.limits.maxWaits;
  if (connection.waits < limit) return;
  throw new HAError("OVERLOADED", `this connection waits for ${limit} runs already`, { limit });
}

/**
 * Waits for a run's end: at most `timeoutMs` (null: as long as the connection lives). Null when the time is over or
 * the connection has gone.
 *
 * `lookUp`: the run's present state is not known to the caller; it is read first. A run that nobody knows is waited
 * for as well: it may be accepted meanwhile.
 * @throws HAError STORE_UNAVAILABLE when the run's present state cannot be read
 */
export async function waitForEnd(
  call: Call,
  runId: RunId,
  options: { readonly timeoutMs: number | null; readonly lookUp: boolean },
): Promise<RunEnd | null> {
  const { gateway, connection, hub, tenant } = call;
  const over = new AbortController();
  const forgets: (() => void)[] = [];
  connection.waits++;
  try {
    // Listening begins before the look into the ledger: an end between the two is not missed.
    const ended = new Promise<RunEnd | null>((resolve) => {
      forgets.push(
        hub.onEnd(runId, resolve),
        connection.onceGone(() => resolve(null)),
      );
      const { timeoutMs } = options;
      if (timeoutMs !== null) void gateway.clock.sleep(timeoutMs, over.signal).then(() => resolve(null));
    });
    const record = options.lookUp ? await gateway.ledger.get(tenant, runId) : null;
    if (record !== null) {
      if (isEnded(record.status)) return endOfRecord({ ...record, status: record.status });
      hub.track(record, null, false);
    }
    return await ended;
  } finally {
    for (const forget of forgets) forget();
    over.abort();
    connection.waits--;
  }
}
