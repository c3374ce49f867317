import { HAError } from "../core/errors.ts";
import type { KeepLease, LeaseKeeper } from "../worker/keep-lease.ts";

export interface ManualLease {
  readonly keepLease: KeepLease;
  lose(): void;
}

/** A lease that lasts until the test says otherwise. */
export function manualLease(): ManualLease {
  const lost = new AbortController();
  const keeper: LeaseKeeper = {
    trustMs: () => (lost.signal.aborted ? 0 : 8_000),
    lost: lost.signal,
    stop: () => Promise.resolve(),
  };
  return {
    lose: () => lost.abort(new HAError("LEASE_LOST", "no heartbeat was confirmed in time")),
    keepLease: async ({ register }) => {
      await register("held");
      return keeper;
    },
  };
}
