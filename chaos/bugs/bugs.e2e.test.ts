import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
import { storeFolder } from "../../server/testing/keep.ts";
import type { Verdict } from "../judge.ts";
import { makeBuild } from "./build.ts";
import { PLANTED_BUGS } from "./index.ts";
import type { PlantedBug, Trial } from "./planted-bug.ts";
import { runTrial } from "./run-trial.ts";
import { TRIALS, trialOf } from "./trials.ts";

const CHECKOUT = fileURLToPath(new URL("../..", import.meta.url));
const SEED = 11;

async function verdictOf(trial: Trial, bug: PlantedBug | null): Promise<Verdict> {
  const folder = await storeFolder("planted-bug");
  const said: string[] = [];
  const [root, records] = [join(folder, "build"), join(folder, "run")];
  await Promise.all([mkdir(root), mkdir(records)]);
  const build = await makeBuild(CHECKOUT, root, [...trial.equipment, ...(bug?.edits ?? [])]);
  const interrupted = new AbortController();
  onTestFinished(async () => {
    interrupted.abort();
  });
  return runTrial({
    ...{ trial, build, folder: records, machine: process.env, seed: SEED },
    bug: bug?.name ?? null,
    signal: interrupted.signal,
    progress: (text) => void said.push(text),
  });
}

/** What was found broken, with an example of each, as a failing test shows it. */
const brokenIn = ({ promises }: Verdict): Record<string, string> =>
  Object.fromEntries(
    promises.flatMap(({ name, violations }) =>
      violations.length === 0 ? [] : [[name, violations[0]?.what ?? ""]],
    ),
  );

describe("a trial on the program as it is", () => {
  it.each(TRIALS.map((trial) => [trial.name, trial] as const))("%s passes", async (_name, trial) => {
    const verdict = await verdictOf(trial, null);
    expect(brokenIn(verdict)).toEqual({});
    expect(verdict.promises.flatMap(({ unproven }) => unproven)).toEqual([]);
    expect(verdict.verdict).toBe("pass");
  });
});

describe("a planted bug", () => {
  it.each(PLANTED_BUGS.map((bug) => [bug.name, bug] as const))("%s is caught", async (_name, bug) => {
    const broken = brokenIn(await verdictOf(trialOf(bug.trial), bug));
    expect(Object.keys(broken), JSON.stringify(broken, null, 1)).toContain(bug.promise);
  });
});
