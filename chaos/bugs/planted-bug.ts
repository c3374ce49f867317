import type { Scenario } from "../scenario.ts";
import type { PromiseName } from "../validators/validator.ts";

/** A change of one file of the checkout: text that stands there exactly once, and what takes its place. */
export interface Edit {
  /** From the root of the checkout. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/**
 * A fault that is put into a copy of the program, to show that the suite notices it. Nothing in the program itself
 * knows of it: there is no switch that could be left on.
 */
export interface PlantedBug {
  /** In kebab case: `ack-before-commit`. */
  readonly name: string;
  /** What the program does wrong then, in a sentence. */
  readonly what: string;
  /** The promise that it breaks, which the validator of that name must report. */
  readonly promise: PromiseName;
  /** Name of the trial that shows it. */
  readonly trial: string;
  readonly edits: readonly Edit[];
}

/**
 * A short scenario that shows bugs. The same one passes on the program as it is, which shows that it is the bug that is
 * reported and not the scenario.
 */
export interface Trial extends Scenario {
  /** Chosen so that the hot session has a run, and another one waits, when the fault comes. */
  readonly seed: number;
  /** Changes of the program without any bug too: shorter leases, so that a pause is short; a tool to call. */
  readonly equipment: readonly Edit[];
  /** The tools of this trial write down what they do, and it belongs to the evidence. */
  readonly hasTools: boolean;
}
