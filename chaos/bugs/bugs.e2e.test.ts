import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, it, type TestContext } from "vitest";
import { systemClock } from "../../server/adapters/system/clock.ts";
import { systemRandom } from "../../server/adapters/system/random.ts";
import { storeFolder } from "../../server/testing/keep.ts";
import type { Verdict } from "../judge.ts";
import { makeBuild } from "./build.ts";
import { PLANTED_BUGS } from "./index.ts";
import type { PlantedBug, Trial } from "./planted-bug.ts";
import { runTrial } from "./run-trial.ts";
import { TRIALS, trialOf } from "./trials.ts";

const CHECKOUT = fileURLToPath(new URL("../..", import.meta.url));
/** A test waits for those before it. */
const ALL_MS = 1_200_000;

/** Trials that go on side by side: most of one is waiting, and more than this would wait for the processor. */
const AT_ONCE = 3;
const lanes: Promise<unknown>[] = Array.from({ length: AT_ONCE }, () => Promise.resolve());
let next = 0;

/** Does it when the lane is free: tests of a file that are concurrent all begin at once. */
function inLane<T>(work: () => Promise<T>): Promise<T> {
  const lane = next++ % AT_ONCE;
  const done = (lanes[lane] as Promise<unknown>).then(work);
  lanes[lane] = done.catch(() => undefined);
  return done;
}

async function verdictOf(trial: Trial, bug: PlantedBug | null, context: TestContext): Promise<Verdict> {
  const folder = await storeFolder("planted-bug");
  const [root, records] = [join(folder, "build"), join(folder, "run")];
  await Promise.all([mkdir(root), mkdir(records)]);
  const build = await makeBuild(CHECKOUT, root, [...trial.equipment, ...(bug?.edits ?? [])]);
  return runTrial({
    trial,
    build,
    bug: bug?.name ?? null,
    folder: records,
    machine: process.env,
    clock: systemClock,
    random: systemRandom,
    signal: context.signal,
    progress: () => {},
  });
}

/** What was found broken, with an example of each, as a failing test shows it. */
const brokenIn = ({ promises }: Verdict): Record<string, string> =>
  Object.fromEntries(
    promises.flatMap(({ name, violations }) =>
      violations.length === 0 ? [] : [[name, violations[0]?.what ?? ""]],
    ),
  );

describe.concurrent("a trial on the program as it is", { timeout: ALL_MS }, () => {
  it.for(TRIALS.map((trial) => [trial.name, trial] as const))("%s passes", async ([, trial], context) => {
    const { expect } = context;
    const verdict = await inLane(() => verdictOf(trial, null, context));
    expect(brokenIn(verdict)).toEqual({});
    expect(verdict.promises.flatMap(({ unproven }) => unproven)).toEqual([]);
    expect(verdict.verdict).toBe("pass");
  });
});

/** What a fault meets is chance on a machine that others use too: a bug has so many runs to show itself. */
const RUNS_MAX = 3;

describe.concurrent("a planted bug", { timeout: ALL_MS }, () => {
  it.for(PLANTED_BUGS.map((bug) => [bug.name, bug] as const))("%s is caught", async ([, bug], context) => {
    const { expect } = context;
    const trial = trialOf(bug.trial);
    const told: string[] = [];
    for (let run = 0; run < RUNS_MAX; run++) {
      const seeded = { ...trial, seed: trial.seed + 100 * run };
      const verdict = await inLane(() => verdictOf(seeded, bug, context));
      const broken = brokenIn(verdict);
      if (bug.promise in broken) return;
      const doubts = [...new Set(verdict.promises.flatMap(({ unproven }) => unproven))];
      told.push(JSON.stringify({ seed: seeded.seed, broken, doubts, runs: verdict.runs }, null, 1));
    }
    expect.fail(`${bug.promise} was not reported:\n${told.join("\n")}`);
  });
});
