import type { RunEvent } from "../core/run-event.ts";
import type { Listener } from "./audience.ts";
import type { RunEnd, RunView } from "./run-view.ts";

/** First poll of a run that nothing was heard of, and the longest time between two, in milliseconds. */
export const SILENT_MS = 1_000;
const POLL_MAX_MS = 8_000;

/**
 * A run that this gateway follows for its connections: the view of it, and who has been told how much. The sets are
 * made when they are needed: most runs are told to the same listeners from their first event to their last.
 */
export class FollowedRun {
  readonly view: RunView;
  /** Serial of the last listener that was there when the first text was told; later ones lack it. */
  toldSince = Number.POSITIVE_INFINITY;
  /** Who missed a delta and needs the whole text next. */
  behind: Set<Listener> | null = null;
  /** One of them can be told it now, even if nothing is added to the text. */
  awaited = false;
  /** Who joined late and has been given the whole text. */
  caughtUp: Set<Listener> | null = null;
  /** Who is being given what it missed, and must be told nothing live meanwhile. */
  held: Set<Listener> | null = null;
  /** The connection that asked for the run: full tool events go to it alone. */
  requester: Listener | null = null;
  /** Set while events before `pending` are being fetched. */
  filling: Promise<void> | null = null;
  pending: RunEvent[] = [];
  /** What the model thought since that was told last. */
  thoughts = "";
  end: RunEnd | null = null;
  /** Monotonic time of the last sign of life, and of the next look into the ledger. */
  heardAt: number;
  pollAt: number;
  private pollEvery = SILENT_MS;

  constructor(view: RunView, now: number) {
    this.view = view;
    this.heardAt = now;
    this.pollAt = now + SILENT_MS;
  }

  heard(now: number): void {
    this.heardAt = now;
    this.pollEvery = SILENT_MS;
    this.pollAt = now + SILENT_MS;
  }

  /** Looked into the ledger and found it open: a queued run may stay silent for long, so looks grow rarer. */
  polled(now: number, busHealthy: boolean): void {
    this.pollEvery = busHealthy ? Math.min(this.pollEvery * 2, POLL_MAX_MS) : SILENT_MS;
    this.pollAt = now + this.pollEvery;
  }

  needsWhole(listener: Listener): boolean {
    if (this.behind?.has(listener)) return true;
    return listener.joinSerial > this.toldSince && !this.caughtUp?.has(listener);
  }

  gotWhole(listener: Listener): void {
    this.behind?.delete(listener);
    if (listener.joinSerial > this.toldSince) (this.caughtUp ??= new Set()).add(listener);
  }

  fellBehind(listener: Listener): void {
    (this.behind ??= new Set()).add(listener);
  }

  forget(listener: Listener): void {
    this.behind?.delete(listener);
    this.caughtUp?.delete(listener);
    this.held?.delete(listener);
    if (this.requester === listener) this.requester = null;
  }
}
