import type { EndedStatus } from "../core/run.ts";
import type { MetricsRegistry } from "../metrics/registry.ts";
import type { Slots } from "./slots.ts";

/** Sums since the worker process started, for `WorkerHandle.metrics()`. */
export interface WorkerCounters {
  /** Runs that this worker ended, by status. */
  readonly ended: Record<EndedStatus, number>;
  claimsGranted: number;
  /** Deliveries whose session another worker held. */
  claimsBusy: number;
  /** Deliveries whose session had nothing queued. */
  claimsEmpty: number;
  /** Writes refused because a newer holder had the session. */
  fenced: number;
  /** Worker ids given up because the lease could not be confirmed in time, or because others declared it dead. */
  leasesLost: number;
  /** Runs handed back while draining. */
  released: number;
  /** Calls repeated because Postgres was away. */
  ledgerRetries: number;
  publishes: number;
  publishFailures: number;
  publishFenced: number;
  /** Ends of runs that never reached the bus; followers read them from Postgres. */
  endsUnpublished: number;
}

export const newWorkerCounters = (): WorkerCounters => ({
  ended: { succeeded: 0, failed: 0, timed_out: 0, aborted: 0, dead: 0 },
  claimsGranted: 0,
  claimsBusy: 0,
  claimsEmpty: 0,
  fenced: 0,
  leasesLost: 0,
  released: 0,
  ledgerRetries: 0,
  publishes: 0,
  publishFailures: 0,
  publishFenced: 0,
  endsUnpublished: 0,
});

/** Tells what is counted here to whoever asks for the process's numbers. */
export function tellCounters(registry: MetricsRegistry, counters: WorkerCounters, slots: Slots): void {
  registry.gauge("workerSessions", () => slots.total - slots.free());
  registry.gauge("workerSlots", () => slots.total);
  registry.sums("runsEnded", () =>
    Object.entries(counters.ended).map(([status, runs]) => [{ status }, runs]),
  );
  registry.sums("claims", () => [
    [{ answer: "granted" }, counters.claimsGranted],
    [{ answer: "busy" }, counters.claimsBusy],
    [{ answer: "empty" }, counters.claimsEmpty],
  ]);
  registry.sums("fenced", () => [[{}, counters.fenced]]);
  registry.sums("leasesLost", () => [[{}, counters.leasesLost]]);
  registry.sums("ledgerRetries", () => [[{}, counters.ledgerRetries]]);
  registry.sums("published", () => [
    [{ outcome: "published" }, counters.publishes],
    [{ outcome: "failed" }, counters.publishFailures],
    [{ outcome: "fenced" }, counters.publishFenced],
  ]);
}
