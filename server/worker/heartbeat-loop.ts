import { asHAError } from "../core/errors.ts";
import type { WorkerId } from "../core/ids.ts";
import { HEARTBEAT_INTERVAL_MS } from "../core/lease.ts";
import type { HeartbeatLink } from "../ports/heartbeat-link.ts";
import type { GrantRef, LockState } from "../ports/run-ledger.ts";

/** Between tries while the store does not answer; jittered, so that workers do not come back in step. */
const RETRY_MS = { min: 250, max: 750 };

/** What the loop tells the worker, in the process or across the thread's border (structured clone). */
export type HeartbeatReport =
  /** The store has the heartbeat that was sent at `sentAt` (monotonic milliseconds). */
  | { readonly type: "confirmed"; readonly sentAt: number; readonly lock: LockState }
  /** Runs of this worker that have a durable abort mark. */
  | { readonly type: "aborts"; readonly runs: readonly GrantRef[] }
  /** Declared dead: the id is void. The last report. */
  | { readonly type: "dead" }
  /** The first failure of an episode, and the loss of the lock; for the log. */
  | { readonly type: "trouble"; readonly what: "store-away" | "lock-absent"; readonly message: string };

export interface HeartbeatLoopDeps {
  readonly worker: WorkerId;
  readonly link: HeartbeatLink;
  /** Monotonic milliseconds, of the same clock that judges the trust window. */
  readonly monotonic: () => number;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** In [0, 1). */
  readonly random: () => number;
  readonly report: (report: HeartbeatReport) => void;
  readonly intervalMs?: number;
}

/** Beats until the signal aborts or the worker is declared dead. Never throws; closes nothing. */
export async function heartbeatLoop(deps: HeartbeatLoopDeps, signal: AbortSignal): Promise<void> {
  const { worker, link, monotonic, report, intervalMs = HEARTBEAT_INTERVAL_MS } = deps;
  let away = false;
  let lockWasHeld = true;
  await deps.sleep(intervalMs, signal); // registering was the first heartbeat
  while (!signal.aborted) {
    try {
      const lock = await link.lock(worker);
      const sentAt = monotonic();
      const answer = await link.heartbeat(worker, lock);
      if (answer.kind === "dead") {
        report({ type: "dead" });
        return;
      }
      away = false;
      if (lock === "absent" && lockWasHeld) {
        report({
          type: "trouble",
          what: "lock-absent",
          message: "no session lock: only the TTL shows a crash",
        });
      }
      lockWasHeld = lock === "held";
      report({ type: "confirmed", sentAt, lock });
      if (answer.aborts.length > 0) report({ type: "aborts", runs: answer.aborts });
      await deps.sleep(intervalMs, signal);
    } catch (error) {
      if (!away) report({ type: "trouble", what: "store-away", message: asHAError(error).message });
      away = true;
      await deps.sleep(RETRY_MS.min + deps.random() * (RETRY_MS.max - RETRY_MS.min), signal);
    }
  }
}
