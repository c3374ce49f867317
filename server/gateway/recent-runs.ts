import type { RunId } from "../core/ids.ts";

/** Runs remembered per generation; two generations are kept. */
const GENERATION_MAX = 20_000;

/** What is remembered of a run that is over. */
export interface RecentEnd {
  readonly lastRunSeq: number;
  /** Of the audience, when the end was told: who was there then has heard it. */
  readonly serial: number;
}

/**
 * The runs that ended lately: a late or repeated event of one of them must not look like a new run. Bounded in number, not in time: the oldest generation is forgotten when the newest is full.
 */
export class RecentRuns {
  private newer = new Map<RunId, RecentEnd>();
  private older = new Map<RunId, RecentEnd>();

  add(runId: RunId, end: RecentEnd): void {
    this.newer.set(runId, end);
    if (this.newer.size < GENERATION_MAX) return;
    this.older = this.newer;
    this.newer = new Map();
  }

  get(runId: RunId): RecentEnd | undefined {
    return this.newer.get(runId) ?? this.older.get(runId);
  }
}
