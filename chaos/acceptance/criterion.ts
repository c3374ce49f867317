/** One of the customer's acceptance criteria with what was measured: a row of the table that `accept` prints. */
export interface CriterionResult {
  /** `availability`, `cross-talk`, `burst`, `kills`. */
  readonly name: string;
  /** The criterion in the customer's words, as a sentence. */
  readonly criterion: string;
  readonly verdict: "pass" | "fail";
  /** What was done, with its amounts. */
  readonly done: string;
  /** Figures by name, for the table and for programs. */
  readonly measured: Readonly<Record<string, number | string | null>>;
  /** Why it was missed, or could not be shown; empty when it passed. */
  readonly findings: readonly string[];
  /** Folders and files that hold what was recorded. */
  readonly evidence: readonly string[];
}

/** How much is done: `quick` for continuous integration, `full` for a decision. */
export type Thoroughness = "quick" | "full";
