import { HAError } from "../server/core/errors.ts";
import { nearestName } from "../server/core/nearest-name.ts";
import type { Scenario } from "./scenario.ts";
import { SCENARIOS } from "./scenarios/index.ts";

/** The scenarios of these names; all of them where none is named. @throws HAError REQUEST_INVALID (exit code 2) */
export function chooseScenarios(names: readonly string[]): readonly Scenario[] {
  if (names.length === 0) return SCENARIOS;
  return names.map((name) => {
    const scenario = SCENARIOS.find((one) => one.name === name);
    if (scenario !== undefined) return scenario;
    const known = SCENARIOS.map((one) => one.name);
    const near = nearestName(name, known);
    throw new HAError("REQUEST_INVALID", `there is no scenario ${JSON.stringify(name)}`, {
      hint: `${near === null ? "" : `did you mean ${near}? `}scenarios: ${known.join(", ")}`,
      nearest: near,
      scenarios: known,
    });
  });
}
