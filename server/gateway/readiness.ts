import type { RunId, TenantId } from "../core/ids.ts";
import type { Clock } from "../ports/clock.ts";
import type { RunLedger } from "../ports/run-ledger.ts";

/** How long an answer of the ledger is believed, and how long one is waited for. */
const BELIEVED_MS = 1_000;
const PATIENCE_MS = 2_000;

/** Why this gateway should get no traffic; empty: it may. Names as OpenClaw's `/readyz` uses them. */
export interface Readiness {
  failing(): Promise<readonly string[]>;
}

/**
 * A gateway is ready while it takes work and Postgres answers. Redis and object storage are not asked: without them
 * runs are still accepted and executed, and taking every gateway out of service would make an outage of a slowdown.
 */
export function readiness(deps: {
  readonly ledger: RunLedger;
  readonly clock: Clock;
  readonly draining: () => boolean;
}): Readiness {
  const { ledger, clock, draining } = deps;
  let asked: { readonly at: number; readonly answers: Promise<boolean> } | null = null;

  // One primary-key read of a run that does not exist, with a deadline of its own.
  const ask = async (): Promise<boolean> => {
    const over = new AbortController();
    try {
      return await Promise.race([
        ledger.get("readyz" as TenantId, "readyz" as RunId).then(() => true),
        clock.sleep(PATIENCE_MS, over.signal).then(() => false),
      ]);
    } catch {
      return false;
    } finally {
      over.abort();
    }
  };

  return {
    async failing() {
      if (draining()) return ["gateway-draining"];
      const now = clock.monotonic();
      if (asked === null || asked.at + BELIEVED_MS <= now) asked = { at: now, answers: ask() };
      return (await asked.answers) ? [] : ["postgres"];
    },
  };
}
