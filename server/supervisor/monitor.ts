import type { Clock } from "../ports/clock.ts";
import type { Observed } from "./contract.ts";
import type { Observation } from "./deployment.ts";

/** What the supervisor asks Postgres for. */
export type Observe = () => Promise<Observed>;

export interface Monitor {
  /**
   * Tenants, queue and sizes, not older than `maxAgeMs`. Null when Postgres did not answer in time: it is not healthy then.
   * Callers that ask at the same moment share one question.
   */
  latest(maxAgeMs: number): Promise<Observation | null>;
  /** As Postgres tells it in answer to a question that is asked now, not one that was asked before. */
  fresh(): Promise<Observation | null>;
}

/** A database that is slower than this to count a queue is in trouble, and `status` must answer. */
const TIMEOUT_MS = 2_000;

/** Watches a deployment through its database, without asking more often than anybody wants to know. */
export function createMonitor(clock: Clock, observe: Observe): Monitor {
  let last: { readonly observation: Observation | null; readonly at: number } | null = null;
  let asking: Promise<Observation | null> | null = null;

  async function ask(): Promise<Observation | null> {
    const given = new AbortController();
    const late = clock.sleep(TIMEOUT_MS, given.signal).then(() => null);
    const asked = observe().then(
      (seen) => ({ at: new Date(clock.now()).toISOString(), ...seen }),
      () => null,
    );
    const observation = await Promise.race([asked, late]);
    given.abort();
    last = { observation, at: clock.monotonic() };
    return observation;
  }

  const askOnce = (): Promise<Observation | null> => (asking ??= ask().finally(() => (asking = null)));

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
