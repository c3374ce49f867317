import { setMaxListeners } from "node:events";
import { HAError } from "../core/errors.ts";
import type { WorkerId } from "../core/ids.ts";
import { leaseTrustMs } from "../core/lease.ts";
import type { Clock } from "../ports/clock.ts";
import type { HeartbeatLink } from "../ports/heartbeat-link.ts";
import type { Logger } from "../ports/logger.ts";
import type { Random } from "../ports/random.ts";
import type { GrantRef, LockState, RunLedger } from "../ports/run-ledger.ts";
import { heartbeatLoop, type HeartbeatReport } from "./heartbeat-loop.ts";

/** Keeps one worker id alive, and says when it can no longer be trusted. */
export interface LeaseKeeper {
  /**
   * Milliseconds for which writing is still safe; at most zero once the trust window has closed. Asked before each
   * write, because a process that was paused reads it before its timers have run.
   */
  trustMs(): number;
  /**
   * Aborts with an HAError LEASE_LOST when the window closes or the store declares the worker dead. From then on this
   * id must write nothing; the worker goes on under a new one.
   */
  readonly lost: AbortSignal;
  /** Stops beating and lets the lock fall. The row stays; `retireWorker` removes it. */
  stop(): Promise<void>;
}

export interface KeepLeaseRequest {
  readonly worker: WorkerId;
  /** Registers the worker in the ledger; called once the lock was tried, so that the row tells the truth about it. */
  readonly register: (lock: LockState) => Promise<void>;
  /** Runs with an abort mark, told by a heartbeat; may repeat itself. */
  readonly onAborts: (runs: readonly GrantRef[]) => void;
  readonly logger: Logger;
}

/**
 * Takes the lock, registers, and starts to beat.
 * @throws HAError STORE_UNAVAILABLE when the store did not answer; nothing runs then
 */
export type KeepLease = (request: KeepLeaseRequest) => Promise<LeaseKeeper>;

export interface InProcessKeeperDeps {
  readonly link: () => HeartbeatLink;
  readonly clock: Clock;
  readonly random: Random;
  readonly intervalMs?: number;
}

/** Beats on this thread: for tests and for a single process on memory stores. A stalled loop loses its lease here. */
export const inProcessKeeper =
  (deps: InProcessKeeperDeps): KeepLease =>
  async (request) => {
    const { clock, random, intervalMs } = deps;
    const link = deps.link();
    const stopped = new AbortController();
    try {
      const lock = await link.lock(request.worker);
      const sentAt = clock.monotonic();
      await request.register(lock);
      const trust = trustWindow({
        clock,
        monotonic: () => clock.monotonic(),
        worker: request.worker,
        sentAt,
      });
      const report = reportHandler(request, trust);
      const beating = heartbeatLoop(
        {
          worker: request.worker,
          link,
          monotonic: () => clock.monotonic(),
          sleep: (ms, signal) => clock.sleep(ms, signal),
          random: () => random.float(),
          report,
          intervalMs,
        },
        stopped.signal,
      );
      return {
        trustMs: trust.ms,
        lost: trust.lost,
        async stop() {
          trust.end();
          stopped.abort();
          await beating;
          await link.close();
        },
      };
    } catch (error) {
      await link.close();
      throw error;
    }
  };

/** The link of stores without connections: the ledger itself. `held`, because such a worker dies with its store. */
export const ledgerHeartbeatLink = (ledger: Pick<RunLedger, "heartbeat">): HeartbeatLink => ({
  lock: () => Promise.resolve("held"),
  heartbeat: (worker, lock) => ledger.heartbeat(worker, lock),
  close: () => Promise.resolve(),
});

export interface TrustWindow {
  readonly ms: () => number;
  readonly lost: AbortSignal;
  /** A heartbeat sent at that moment was confirmed. */
  confirm(sentAt: number): void;
  /** The store says that the id is void. */
  close(reason: string): void;
  /** No more timers. */
  end(): void;
}

/**
 * The holder's own view of its lease. `confirmedAt` may also be read from elsewhere (the heartbeat thread writes it
 * to shared memory), so that a confirmation counts even while messages wait behind a busy event loop.
 */
export function trustWindow(options: {
  readonly clock: Clock;
  readonly monotonic: () => number;
  readonly worker: WorkerId;
  /** When the first heartbeat, the registration, was sent. */
  readonly sentAt: number;
  readonly confirmedAt?: () => number;
}): TrustWindow {
  const { clock, monotonic, worker } = options;
  const lost = new AbortController();
  setMaxListeners(0, lost.signal); // every call of every run listens to it
  const ended = new AbortController();
  let last = options.sentAt;

  const ms = (): number => {
    if (lost.signal.aborted) return 0;
    return leaseTrustMs(Math.max(last, options.confirmedAt?.() ?? last), monotonic());
  };
  const close = (reason: string): void => {
    if (lost.signal.aborted || ended.signal.aborted) return;
    ended.abort();
    lost.abort(new HAError("LEASE_LOST", `worker ${worker} lost its lease: ${reason}`, { worker }));
  };
  const watch = async (): Promise<void> => {
    while (!ended.signal.aborted) {
      const left = ms();
      if (left <= 0) return close("no heartbeat was confirmed in time");
      // At least a millisecond: a timer may ring a fraction too early.
      await clock.sleep(Math.max(1, Math.ceil(left)), ended.signal);
    }
  };
  void watch();
  return {
    ms,
    lost: lost.signal,
    confirm: (sentAt) => void (last = Math.max(last, sentAt)),
    close,
    end: () => ended.abort(),
  };
}

/** Turns reports into trust, aborts and log lines. */
export const reportHandler =
  ({ onAborts, logger }: KeepLeaseRequest, trust: TrustWindow) =>
  (report: HeartbeatReport): void => {
    switch (report.type) {
      case "confirmed":
        return trust.confirm(report.sentAt);
      case "aborts":
        return onAborts(report.runs);
      case "dead":
        return trust.close("the store has declared it dead");
      case "trouble":
        return logger.warn("worker.heartbeat_trouble", { what: report.what, message: report.message });
      default:
        return report satisfies never;
    }
  };
