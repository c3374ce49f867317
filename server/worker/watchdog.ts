/** How often the thread looks at the worker's event loop. */
export const WATCH_INTERVAL_MS = 1_000;

export interface WatchdogDeps {
  /** A counter that the watched loop raises about every second. */
  readonly progress: () => number;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** How long the counter may stand still. */
  readonly limitMs: number;
  readonly onStalled: (stalledMs: number) => void;
}

/**
 * Calls `onStalled`, once, when the counter has not moved for `limitMs`. It counts its own looks, not time: while
 * the whole process is stopped (SIGSTOP, a suspended laptop) nobody looks, and waking up is not mistaken for a stall.
 */
export async function watchdog(deps: WatchdogDeps, signal: AbortSignal): Promise<void> {
  let seen = deps.progress();
  let looks = 0;
  while (!signal.aborted) {
    await deps.sleep(WATCH_INTERVAL_MS, signal);
    const now = deps.progress();
    looks = now === seen ? looks + 1 : 0;
    seen = now;
    if (looks * WATCH_INTERVAL_MS < deps.limitMs || signal.aborted) continue;
    return deps.onStalled(looks * WATCH_INTERVAL_MS);
  }
}
