import type { Clock } from "../../ports/clock.ts";

/** How long a model may be silent. Milliseconds. */
export interface Deadlines {
  /** From the request to the first piece of the answer; includes connecting. Reasoning models think here. */
  readonly firstMs: number;
  /** Between two pieces. */
  readonly idleMs: number;
}

export interface WatchedCall {
  /** Something came in. */
  touch(): void;
  end(): void;
}

export interface StallWatch {
  /** Calls `onStall` once, when the call has been silent for longer than its deadline. */
  watch(onStall: (silentMs: number) => void): WatchedCall;
}

/** One timer looks after all calls of the process, and only while there are any: a timer per delta would cost more. */
export function stallWatch(clock: Clock, deadlines: Deadlines): StallWatch {
  interface Entry {
    since: number;
    limit: number;
    readonly onStall: (silentMs: number) => void;
  }
  const open = new Set<Entry>();
  const tickMs = Math.max(1, Math.min(250, deadlines.firstMs / 4, deadlines.idleMs / 4));
  let ticking = false;

  const tick = async (): Promise<void> => {
    ticking = true;
    while (open.size > 0) {
      await clock.sleep(tickMs);
      const now = clock.monotonic();
      for (const entry of open) {
        const silentMs = now - entry.since;
        if (silentMs <= entry.limit) continue;
        open.delete(entry);
        entry.onStall(Math.round(silentMs));
      }
    }
    ticking = false;
  };

  return {
    watch(onStall) {
      const entry: Entry = { since: clock.monotonic(), limit: deadlines.firstMs, onStall };
      open.add(entry);
      if (!ticking) void tick();
      return {
        touch() {
          entry.since = clock.monotonic();
          entry.limit = deadlines.idleMs;
        },
        end: () => void open.delete(entry),
      };
    },
  };
}
