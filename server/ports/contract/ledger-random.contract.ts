import { describe, expect, it } from "vitest";
import { isEnded } from "../../core/run-state.ts";
import { seededRandom } from "../../testing/seeded-random.ts";
import { drain, ledgerActions, type Pick } from "./ledger-actions.ts";
import { compare, ledgerModel } from "./ledger-model.ts";
import { ledgerStorm } from "./ledger-storm.ts";
import type { OpenStores } from "./store-fixture.ts";
import { storeWorld } from "./store-world.ts";

export interface RandomRuns {
  /** One run each; a failure names its seed and what was done. */
  readonly seeds: readonly number[];
  /** Actions of the sequential run; a fifth as many messages in the concurrent one. */
  readonly steps: number;
}

/** How often each action is tried; all together 100. */
const WEIGHTS = {
  accept: 22,
  acceptAgain: 4,
  claim: 16,
  claimReady: 6,
  checkpoint: 12,
  checkpointAgain: 4,
  finish: 14,
  release: 4,
  crash: 5,
  retire: 2,
  sweep: 5,
  abort: 4,
  redrive: 2,
} as const;

type Action = keyof typeof WEIGHTS;
const DRAWER = Object.entries(WEIGHTS).flatMap(([action, weight]) =>
  Array.from({ length: weight }, () => action as Action),
);

/** Long histories that nobody would think of: against a model one call at a time, and in a storm of concurrent calls. */
export function ledgerRandomContract(open: OpenStores, { seeds, steps }: RandomRuns): void {
  describe("random histories", () => {
    it.each(seeds)("answer as the model of the port does, whatever happens (seed %i)", async (seed) => {
      const random = seededRandom(seed);
      const pick: Pick = (list) => list[Math.floor(random.float() * list.length)];
      const model = await ledgerModel(await storeWorld(open), { sessions: 4, workers: 3 });
      const actions = ledgerActions(model, pick);
      const done: Action[] = [];
      try {
        for (let step = 0; step < steps; step++) {
          done.push(pick(DRAWER)!);
          await actions[done.at(-1)!]();
          if (step % 10 === 0) await compare(model);
        }
        await actions.sweep();
        await drain(model);
        await compare(model);
      } catch (cause) {
        throw new Error(`seed ${seed}, step ${done.length}: ${done.slice(-25).join(", ")}`, { cause });
      }
      expect(model.runs.filter(({ status }) => !isEnded(status))).toEqual([]);
    });

    it.each(seeds)("keep every promise when workers, gateways and sweeps race (seed %i)", async (seed) => {
      const size = { sessions: 5, workers: 4, messages: Math.ceil(steps / 5) };
      const runs = await ledgerStorm(await storeWorld(open), seededRandom(seed), size);
      expect(runs.filter(({ status }) => isEnded(status))).toHaveLength(size.messages);
    });
  });
}
