/** How many sessions the process executes at once, over all of its lives as a worker. */
export interface Slots {
  readonly total: number;
  /** At most zero when all are taken. */
  free(): number;
  take(): void;
  release(): void;
  /** Resolves when one became free, which may be taken again by then, or when the signal aborts. */
  whenFree(signal: AbortSignal): Promise<void>;
}

export function slots(total: number): Slots {
  let taken = 0;
  let waiting: (() => void)[] = [];
  return {
    total,
    free: () => total - taken,
    take: () => void taken++,
    release() {
      taken--;
      if (taken >= total) return;
      for (const wake of waiting) wake();
      waiting = [];
    },
    whenFree: (signal) =>
      new Promise<void>((resolve) => {
        if (taken < total || signal.aborted) {
          resolve();
          return;
        }
        const wake = (): void => {
          signal.removeEventListener("abort", wake);
          resolve();
        };
        waiting.push(wake);
        signal.addEventListener("abort", wake, { once: true });
      }),
  };
}
