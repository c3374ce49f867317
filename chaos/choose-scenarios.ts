import { HAError } from "../server/core/errors.ts";
import type { Scenario } from "./scenario.ts";
import { SCENARIOS } from "./scenarios/index.ts";

/** The scenarios of these names; all of them where none is named. @throws HAError REQUEST_INVALID (exit code 2) */
export function chooseScenarios(names: readonly string[]): readonly Scenario[] {
  if (names.length === 0) return SCENARIOS;
  return names.map((name) => {
    const scenario = SCENARIOS.find((one) => one.name === name);
    if (scenario !== undefined) return scenario;
    const known = SCENARIOS.map((one) => one.name);
    throw new HAError("REQUEST_INVALID", `there is no scenario ${JSON.stringify(name)}`, {
      hint: `did you mean ${nearest(name, known)}? There are: ${known.join(", ")}`,
      nearest: nearest(name, known),
      scenarios: known,
    });
  });
}

/** The known name that takes the fewest changes of letters to reach. */
export function nearest(name: string, known: readonly string[]): string {
  const [best] = known.toSorted((a, b) => distance(name, a) - distance(name, b));
  return best ?? "";
}

/** Levenshtein's, over one row. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (const [i, letter] of a.split("").entries()) {
    const next = [i + 1];
    for (const [j, other] of b.split("").entries()) {
      next.push(
        Math.min((next[j] ?? 0) + 1, (row[j + 1] ?? 0) + 1, (row[j] ?? 0) + (letter === other ? 0 : 1)),
      );
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
