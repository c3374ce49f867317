import type { History } from "../history/format.ts";
import type { StoresSnapshot } from "../stores/snapshot.ts";

/** All that is known of a run: the client's side and the server's. */
export interface Evidence {
  readonly history: History;
  readonly stores: StoresSnapshot;
}

/** One place where a promise was broken: a sentence that names client, run or session, and the numbers. */
export interface Violation {
  readonly what: string;
  /** Milliseconds into the run, where it can be placed. */
  readonly at: number | null;
}

export interface Judgement {
  /** How many things were looked at: operations, runs, events, pairs. 0 proves nothing. */
  readonly checked: number;
  readonly violations: readonly Violation[];
  /** Why this history cannot prove the promise: too little traffic, a fault that did not happen. */
  readonly unproven: readonly string[];
}

/** The promises of ARCHITECTURE.md by name. */
export type PromiseName =
  | "exclusive"
  | "no-lost-ack"
  | "idempotent"
  | "fifo"
  | "resumable"
  | "isolated"
  | "no-silent-repetition"
  | "honest-degradation";

/** Judges one promise. Pure: the same evidence gives the same judgement. First it checks its own assumptions. */
export interface Validator {
  readonly promise: PromiseName;
  /** The promise in one sentence, as reports print it. */
  readonly claim: string;
  judge(evidence: Evidence): Judgement;
}
