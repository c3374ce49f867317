import type { Clock } from "../ports/clock.ts";
import type { InstanceView } from "../ports/provisioner.ts";

/** An instance that is not ready after so long counts as missing. */
const JOIN_MS = 60_000;

/** Instances that a pool is growing by: until they are ready for the first time, nothing is wrong without them. */
export interface Joining {
  add(ids: readonly string[]): void;
  /** True while the instance may still be on its way. */
  has(id: string): boolean;
  /** Those that are ready have joined. */
  seen(instances: readonly InstanceView[]): void;
}

export function joining(clock: Pick<Clock, "monotonic">): Joining {
  const until = new Map<string, number>();
  return {
    add(ids) {
      for (const id of ids) until.set(id, clock.monotonic() + JOIN_MS);
    },
    has: (id) => (until.get(id) ?? 0) > clock.monotonic(),
    seen(instances) {
      for (const { id, state } of instances) if (state === "ready") until.delete(id);
    },
  };
}
