import type { PromiseVerdict } from "./judge.ts";
import type { Gap } from "./gaps.ts";
import type { RunResult } from "./result.ts";
import type { Violation } from "./validators/validator.ts";

/** What all runs together say of one promise. */
export interface PromiseSummary {
  readonly name: string;
  readonly verdict: PromiseVerdict["verdict"];
  readonly checked: number;
  /** Each with the run that it was found in. */
  readonly violations: readonly (Violation & { readonly scenario: string; readonly seed: number })[];
  /** Why some run did not prove it, each with that run. */
  readonly unproven: readonly { readonly why: string; readonly scenario: string; readonly seed: number }[];
}

/** One run as `chaos run --json` tells it. */
export interface ScenarioSummary {
  readonly name: string;
  readonly seed: number;
  readonly verdict: RunResult["verdict"];
  readonly reason: string | null;
  readonly operations: number;
  readonly runs: number;
  /** Promises that were broken or not proven, in words. */
  readonly findings: readonly string[];
  readonly gaps: readonly Gap[];
  readonly dir: string | null;
  readonly tookMs: number;
}

/** What `chaos run --json` and `chaos judge --json` print: names and shapes are a contract. */
export interface ChaosSummary {
  readonly verdict: "pass" | "fail";
  readonly promises: readonly PromiseSummary[];
  readonly scenarios: readonly ScenarioSummary[];
  readonly seed: number;
  /** The report to open. */
  readonly report: string;
}

const WORST = ["pass", "unproven", "fail"] as const;

/** Pass only where something was run, everything that was run passed, and nothing was broken anywhere. */
export function summarize(results: readonly RunResult[], seed: number, report: string): ChaosSummary {
  const ran = results.filter(({ verdict }) => verdict !== "skipped");
  return {
    verdict: ran.length > 0 && ran.every(({ verdict }) => verdict === "pass") ? "pass" : "fail",
    promises: promisesOf(ran),
    scenarios: results.map(scenarioSummary),
    seed,
    report,
  };
}

function promisesOf(results: readonly RunResult[]): PromiseSummary[] {
  const all = results.flatMap(({ judged, scenario, seed }) =>
    (judged?.promises ?? []).map((promise) => ({ promise, scenario, seed })),
  );
  return [...Map.groupBy(all, ({ promise }) => promise.name)].map(([name, of]) => ({
    name,
    verdict: WORST[Math.max(...of.map(({ promise }) => WORST.indexOf(promise.verdict)))] ?? "unproven",
    checked: of.reduce((sum, { promise }) => sum + promise.checked, 0),
    violations: of.flatMap(({ promise, scenario, seed }) =>
      promise.violations.map((violation) => ({ ...violation, scenario, seed })),
    ),
    unproven: of.flatMap(({ promise, scenario, seed }) =>
      promise.unproven.map((why) => ({ why, scenario, seed })),
    ),
  }));
}

const scenarioSummary = ({
  dir,
  judged,
  reason,
  scenario,
  seed,
  tookMs,
  verdict,
}: RunResult): ScenarioSummary => ({
  name: scenario,
  seed,
  verdict,
  reason,
  operations: judged?.operations ?? 0,
  runs: judged?.runs ?? 0,
  findings: (judged?.promises ?? []).flatMap((promise) => [
    ...promise.violations.map(({ what }) => `${promise.name}: ${what}`),
    ...promise.unproven.map((why) => `${promise.name} is unproven: ${why}`),
  ]),
  gaps: judged?.gaps ?? [],
  dir,
  tookMs,
});

/** The promises that were broken, for the line that a person reads last. */
export const brokenPromises = ({ promises }: ChaosSummary): string[] =>
  promises.filter(({ verdict }) => verdict === "fail").map(({ name }) => name);
