import type { FaultSpec } from "./faults/fault.ts";
import { gapsOf, type Gap } from "./gaps.ts";
import type { Scenario } from "./scenario.ts";
import { factsOf } from "./validators/facts.ts";
import { VALIDATORS } from "./validators/index.ts";
import type { Evidence, PromiseName, Violation } from "./validators/validator.ts";

/** So many violations of a promise are listed; all are counted. */
const LISTED_MAX = 50;

export interface PromiseVerdict {
  readonly name: PromiseName;
  /** The promise in one sentence. */
  readonly claim: string;
  /** `fail`: it was broken. `unproven`: nothing broke it, and this history could not have shown it. */
  readonly verdict: "pass" | "fail" | "unproven";
  readonly checked: number;
  /** All of them, also those that are not listed. */
  readonly broken: number;
  readonly violations: readonly Violation[];
  readonly unproven: readonly string[];
}

/** What `chaos judge` and `chaos run` say of one history. */
export interface Verdict {
  /** `pass` only if every promise that the scenario names was proven. */
  readonly verdict: "pass" | "fail";
  readonly scenario: string;
  readonly seed: number;
  readonly promises: readonly PromiseVerdict[];
  readonly gaps: readonly Gap[];
  readonly operations: number;
  readonly runs: number;
}

/**
 * Judges a history against the promises of its scenario; without one, against all of which it holds evidence.
 * Pure: the same evidence, the same verdict. A promise that a scenario does not name is still judged where it can be
 * broken: a violation counts whoever finds it.
 */
export function judge(evidence: Evidence, scenario?: Pick<Scenario, "validators" | "faults">): Verdict {
  const missing = scenario === undefined ? [] : faultsMissing(evidence, scenario);
  const promises = VALIDATORS.flatMap((validator): PromiseVerdict[] => {
    const isNamed = scenario?.validators.includes(validator.promise) ?? true;
    const { checked, violations, unproven } = validator.judge(evidence);
    const doubts = [...missing, ...unproven];
    const isProven = doubts.length === 0;
    if (violations.length === 0 && !isProven && !isNamed) return [];
    return [
      {
        name: validator.promise,
        claim: validator.claim,
        verdict: violations.length > 0 ? "fail" : isProven ? "pass" : "unproven",
        checked,
        broken: violations.length,
        violations: violations.slice(0, LISTED_MAX),
        unproven: doubts,
      },
    ];
  });
  const { header } = evidence.history;
  return {
    verdict: promises.every(({ verdict }) => verdict === "pass") ? "pass" : "fail",
    scenario: header.scenario,
    seed: header.seed,
    promises,
    gaps: gapsOf(evidence),
    operations: factsOf(evidence).operations.length,
    runs: evidence.stores.runs.length,
  };
}

/** Faults of the scenario of which the history knows nothing. */
function faultsMissing(evidence: Evidence, scenario: Pick<Scenario, "faults">): string[] {
  const { faults } = factsOf(evidence);
  const wanted = Map.groupBy(scenario.faults, ({ fault }) => namesOf(fault).join(" or "));
  return [...wanted].flatMap(([names, of]) => {
    const seen = faults.filter(({ kind }) => names.split(" or ").includes(kind)).length;
    return seen < of.length ? [`${of.length - seen} faults of kind ${names} did not happen`] : [];
  });
}

/** How a recorder may call this fault: signals by what they do, the others by their kind. */
function namesOf(fault: FaultSpec): string[] {
  if (fault.kind !== "signal") return [fault.kind];
  return ["signal", fault.signal === "SIGKILL" ? "kill" : "terminate"];
}
