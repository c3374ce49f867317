import type { Clock } from "../../ports/clock.ts";
import type { ControlTerm } from "../../ports/scaling-store.ts";

/** A control lease in memory: one holder at a time, and a larger token with every change of it. */
export function memoryLease(clock: Pick<Clock, "now">) {
  let lease: ControlTerm & { readonly until: number } = { holder: "", token: 0, until: 0 };
  return {
    lead(holder: string, ttlMs: number): ControlTerm | null {
      const now = clock.now();
      const leads = lease.holder === holder && lease.until > now;
      if (!leads && lease.until > now) return null;
      lease = { holder, token: lease.token + (leads ? 0 : 1), until: now + ttlMs };
      return { holder, token: lease.token };
    },
    resign(holder: string): void {
      if (lease.holder === holder) lease = { ...lease, until: 0 };
    },
    /** Whether the term is not over. */
    holds: ({ holder, token }: ControlTerm): boolean =>
      lease.holder === holder && lease.token === token && lease.until > clock.now(),
  };
}
