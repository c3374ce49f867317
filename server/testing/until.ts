import { setTimeout as sleep } from "node:timers/promises";

export interface UntilOptions {
  /** How long to go on asking; default 10 s, far above what any test waits for when nothing is broken. */
  readonly timeoutMs?: number;
  readonly pollMs?: number;
  /** What is waited for, for the message when it does not come. */
  readonly what?: string;
}

/**
 * Asks until the predicate answers something that is neither false, null nor undefined, and resolves to it.
 * For what announces itself by no event; where there is an event, await that.
 * @throws Error after the timeout, with the predicate's last rejection as its cause
 */
export async function until<T>(
  predicate: () => T | Promise<T>,
  options: UntilOptions = {},
): Promise<Exclude<T, false | null | undefined>> {
  const timeoutMs = options.timeoutMs ?? 10_000;
  const deadline = performance.now() + timeoutMs;
  let cause: unknown;
  for (;;) {
    try {
      const value = await predicate();
      if (value !== false && value !== null && value !== undefined) {
        return value as Exclude<T, false | null | undefined>;
      }
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (performance.now() >= deadline) break;
    await sleep(options.pollMs ?? 20);
  }
  throw new Error(`${options.what ?? "what was waited for"} did not happen within ${timeoutMs} ms`, {
    cause,
  });
}
