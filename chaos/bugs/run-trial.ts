import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../../server/ports/clock.ts";
import type { Random } from "../../server/ports/random.ts";
import { judge, type Verdict } from "../judge.ts";
import { recordRun } from "../record-run.ts";
import { storesSnapshot } from "../stores/snapshot.ts";
import { startProcessTarget } from "../targets/process.ts";
import type { Evidence } from "../validators/validator.ts";
import type { Build } from "./build.ts";
import type { Trial } from "./planted-bug.ts";

export interface TrialOptions {
  readonly trial: Trial;
  readonly build: Build;
  /** Of the bug that is in the build; null for none. */
  readonly bug: string | null;
  /** An empty folder for the history. */
  readonly folder: string;
  /** PATH and TMPDIR of the machine. */
  readonly machine: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  /** For ports and secrets; what the trial does by chance comes from its seed. */
  readonly random: Random;
  readonly signal: AbortSignal;
  readonly progress: (text: string) => void;
}

/**
 * Brings the build up, lets the trial happen to it, takes it down, and judges what was seen.
 * @throws HAError when the build does not come up or does not answer a first message: nothing is shown then
 */
export async function runTrial(options: TrialOptions): Promise<Verdict> {
  const { bug, build, clock, folder, machine, progress, random, signal, trial } = options;
  const target = await startProcessTarget({
    ...trial.topology,
    machine,
    progress,
    signal,
    clock,
    random,
    projectRoot: build.root,
    needs: new Set(trial.needs),
    env: {},
  });
  try {
    const evidence = await recordRun({
      seed: trial.seed,
      target,
      signal,
      progress,
      scenario: trial,
      durationMs: null,
      dir: folder,
      command: `npx vitest run --project proof chaos/bugs -t ${bug ?? trial.name}`,
      plantedBug: bug,
      clock,
    });
    return judge(trial.hasTools ? await withEffects(evidence, build) : evidence, trial);
  } finally {
    await target.close();
  }
}

/** What the tools of the build have written down, as part of what is left behind. */
async function withEffects({ history, stores }: Evidence, { root }: Build): Promise<Evidence> {
  const lines = (await readFile(join(root, "effects.jsonl"), "utf8").catch(() => "")).split("\n");
  const effects = lines.filter((line) => line !== "").map((line) => JSON.parse(line) as unknown);
  return { history, stores: storesSnapshot.parse({ ...stores, effects }) };
}
