/**
 * Time of this process. Decisions about leases, deadlines of stored things and order are the database's;
 * this clock only measures durations, stamps what is shown to people and waits.
 */
export interface Clock {
  /** Wall clock, epoch milliseconds. */
  now(): number;
  /** Never goes back; milliseconds from an arbitrary start. */
  monotonic(): number;
  /** Resolves after `ms`, or at once when the signal aborts (it never rejects). */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}
