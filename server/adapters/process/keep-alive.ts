import type { Clock } from "../../ports/clock.ts";

/** How a process ended; both null where it was nobody's child, so that nobody was told. */
export interface ProcessExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Something that runs and will end. */
export interface Running {
  readonly exited: Promise<ProcessExit>;
}

/** First wait after a crash; it doubles with each further one. */
export const BACKOFF_FIRST_MS = 100;
export const BACKOFF_MAX_MS = 5_000;
/** A process that ran this long is sound again: its next crash waits the first wait. */
export const SOUND_AFTER_MS = 10_000;

/** How long to wait before start number `crashes + 1` in a row. */
export const restartDelayMs = (crashes: number): number =>
  Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** Math.min(Math.max(crashes - 1, 0), 20));

export interface KeepAliveOptions<T extends Running> {
  readonly clock: Clock;
  /** Starts it, or finds it running; a rejection counts as a crash. */
  start(): Promise<T>;
  onStarted(running: T): void;
  /** `crashes` in a row so far, this one included; it starts again after `delayMs`. */
  onEnded(end: {
    readonly exit: ProcessExit | null;
    readonly error: unknown;
    readonly crashes: number;
    readonly delayMs: number;
  }): void;
  /** Ends the keeping: what runs goes on running, what is dead stays dead. */
  readonly signal: AbortSignal;
}

/**
 * Starts something again whenever it ends, with growing waits, until the signal aborts. Resolves when keeping has
 * ended and no start is under way any more: the caller then knows the last thing that was started.
 */
export async function keepAlive<T extends Running>(options: KeepAliveOptions<T>): Promise<void> {
  const { clock, signal } = options;
  const aborted = new Promise<null>((resolve) => {
    if (signal.aborted) resolve(null);
    else signal.addEventListener("abort", () => resolve(null), { once: true });
  });
  let crashes = 0;
  while (!signal.aborted) {
    const startedAt = clock.monotonic();
    let exit: ProcessExit | null = null;
    let error: unknown = null;
    try {
      const running = await options.start();
      options.onStarted(running);
      exit = await Promise.race([running.exited, aborted]);
      if (exit === null) return;
    } catch (thrown) {
      error = thrown;
    }
    crashes = clock.monotonic() - startedAt >= SOUND_AFTER_MS ? 1 : crashes + 1;
    const delayMs = restartDelayMs(crashes);
    if (signal.aborted) return;
    options.onEnded({ exit, error, crashes, delayMs });
    await clock.sleep(delayMs, signal);
  }
}
