import { setTimeout as delay } from "node:timers/promises";
import { HAError } from "../core/errors.ts";
import type { HeartbeatLink } from "../ports/heartbeat-link.ts";
import type { HeartbeatAnswer } from "../ports/run-ledger.ts";

/** Shared with the thread that loads this module: what the store does, and what it has seen. */
export const SWITCHES = { away: 0, dead: 1, hangs: 2, beats: 3, closed: 4, hung: 5 } as const;

export const newSwitches = (): Int32Array =>
  new Int32Array(new SharedArrayBuffer(8 * Int32Array.BYTES_PER_ELEMENT));

/** A heartbeat link for tests of the thread, steered through shared memory. */
export function openHeartbeatLink(settings: unknown): HeartbeatLink {
  const { switches } = settings as { readonly switches: Int32Array };
  const answer = async <Value>(value: Value): Promise<Value> => {
    if (Atomics.load(switches, SWITCHES.hangs) === 1) {
      Atomics.store(switches, SWITCHES.hung, 1);
      await delay(3_600_000);
    }
    if (Atomics.load(switches, SWITCHES.away) === 1)
      throw new HAError("STORE_UNAVAILABLE", "the store is away");
    return value;
  };
  return {
    lock: () => answer("held"),
    heartbeat: () => {
      Atomics.add(switches, SWITCHES.beats, 1);
      const dead = Atomics.load(switches, SWITCHES.dead) === 1;
      return answer<HeartbeatAnswer>(dead ? { kind: "dead" } : { kind: "alive", aborts: [] });
    },
    close: () => {
      Atomics.add(switches, SWITCHES.closed, 1);
      return Promise.resolve();
    },
  };
}
