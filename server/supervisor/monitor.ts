import type { Clock } from "../ports/clock.ts";

/** An answer, and when it came (ISO 8601). */
export type Answered<T> = T & { readonly at: string };

export interface Monitor<T> {
  /**
   * What the database tells, not older than `maxAgeMs`. Null when Postgres did not answer in time: it is not healthy then.
   * Callers that ask at the same moment share one question.
   */
  latest(maxAgeMs: number): Promise<Answered<T> | null>;
  /** As Postgres tells it in answer to a question that is asked now, not one that was asked before. */
  fresh(): Promise<Answered<T> | null>;
}

/** A database that is slower than this to count a queue is in trouble, and `status` must answer. */
const TIMEOUT_MS = 2_000;

/** Watches a deployment through its database, without asking more often than anybody wants to know. */
export function createMonitor<T extends object>(clock: Clock, observe: () => Promise<T>): Monitor<T> {
  let last: { readonly observation: Answered<T> | null; readonly at: number } | null = null;
  let asking: Promise<Answered<T> | null> | null = null;

  async function ask(): Promise<Answered<T> | null> {
    const given = new AbortController();
    const late = clock.sleep(TIMEOUT_MS, given.signal).then(() => null);
    const asked = observe().then(
      (seen) => ({ ...seen, at: new Date(clock.now()).toISOString() }),
      () => null,
    );
    const observation = await Promise.race([asked, late]);
    given.abort();
    last = { observation, at: clock.monotonic() };
    return observation;
  }

  const askOnce = (): Promise<Answered<T> | null> => (asking ??= ask().finally(() => (asking = null)));

  return {
    async latest(maxAgeMs) {
      if (last !== null && clock.monotonic() - last.at <= maxAgeMs) return last.observation;
      return askOnce();
    },
    async fresh() {
      await asking;
      return askOnce();
    },
  };
}
