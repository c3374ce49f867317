import type { LocalStore } from "../adapters/local/local-store.ts";
import { keepAlive } from "../adapters/process/keep-alive.ts";
import type { Clock } from "../ports/clock.ts";
import type { Logger } from "../ports/logger.ts";

export interface KeptStoreOptions {
  readonly name: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Starts it on its old port and data, or adopts the one that runs there. */
  start(): Promise<LocalStore>;
}

/** A store of this machine under supervision. */
export interface KeptStore {
  /** The process that runs now; null between an end and the next start. */
  current(): LocalStore | null;
  restarts(): number;
  /** Ends supervision and the store. */
  stop(): Promise<void>;
  /** Ends supervision; the store goes on. */
  detach(): Promise<void>;
}

/**
 * Keeps a store running on its address: whatever ends it, it is started again over the same data, with growing waits.
 * @param first the store as it was started or adopted just now, or null where that has failed and is to be repeated
 */
export function keepStore(options: KeptStoreOptions, first: LocalStore | null): KeptStore {
  const { name, logger } = options;
  const keeping = new AbortController();
  let current = first;
  let pending = first;
  let restarts = 0;
  const kept = keepAlive<LocalStore>({
    clock: options.clock,
    signal: keeping.signal,
    async start() {
      const started = pending ?? (await options.start());
      pending = null;
      return started;
    },
    onStarted(started) {
      current = started;
      logger.info("store.started", { store: name, pid: started.pid });
    },
    onEnded({ exit, error, crashes, delayMs }) {
      const cause = error instanceof Error ? error.message : undefined;
      logger.warn("store.ended", { store: name, pid: current?.pid, ...exit, crashes, delayMs, cause });
      current = null;
      restarts += 1;
    },
  });
  const detach = async (): Promise<void> => {
    keeping.abort();
    await kept;
  };
  return {
    current: () => current,
    restarts: () => restarts,
    detach,
    async stop() {
      await detach();
      await current?.stop();
      current = null;
    },
  };
}
