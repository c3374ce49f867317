import { CASES } from "./cases/index.ts";
import { compare, type Difference } from "./compare.ts";
import { record } from "./record.ts";
import type { ConformanceCase, Target } from "./script.ts";

/** Cases that are played at once on each target: most of their time they wait for silence. */
const AT_ONCE = 4;

export interface Played {
  readonly differences: readonly Difference[];
  /** Cases that could not be played to their end, on one target or the other. */
  readonly failures: readonly string[];
}

/** Plays every case on both targets and compares what was recorded. */
export async function play(
  targets: { readonly genuine: Target; readonly pool: Target },
  cases: readonly ConformanceCase[] = CASES,
): Promise<Played> {
  const waiting = [...cases];
  const differences: Difference[] = [];
  const failures: string[] = [];
  const player = async (): Promise<void> => {
    for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) {
      const [genuine, pool] = await Promise.allSettled([
        record(targets.genuine, one),
        record(targets.pool, one),
      ]);
      for (const played of [genuine, pool]) {
        if (played.status === "rejected") failures.push((played.reason as Error).message);
      }
      if (genuine.status === "rejected" || pool.status === "rejected") continue;
      differences.push(...compare(genuine.value, pool.value, `${one.name} ›`));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, player));
  return { differences, failures };
}
