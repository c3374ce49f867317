import { controlPathLoad } from "./control-path-load.ts";
import { floorPath } from "./floor-path.ts";
import { cpuOf, median, progress, result, rounded } from "./report.ts";
import { startStores } from "./stores.ts";

/** Some seconds of each, on a machine of two cores. */
const RUNS = { floor: 30_000, control: 10_000 };
const IN_FLIGHT = 256;
const BATCH = 64;
const PASSES = 3;
/** Runs of each before the passes: what a process compiles once is not a cost of its runs. */
const WARM_UP = 5_000;

/** The control path beside the floor of the machine, in turns on the same stores; durable commits in both. */
export async function floorBenchmark(): Promise<void> {
  const stores = await startStores();
  try {
    const load = { ...stores, inFlight: IN_FLIGHT };
    await floorPath({ ...load, runs: WARM_UP, batch: BATCH });
    await controlPathLoad({ ...load, runs: WARM_UP });
    const passes = [];
    for (let pass = 1; pass <= PASSES; pass++) {
      const floor = await floorPath({ ...load, runs: RUNS.floor, batch: BATCH });
      const control = await controlPathLoad({ ...load, runs: RUNS.control });
      const ratio = rounded(control.runsPerSecond / floor.runsPerSecond);
      progress(
        `pass ${pass}: floor ${floor.runsPerSecond}/s, control path ${control.runsPerSecond}/s, ratio ${ratio}`,
      );
      // What a busy machine changes less than it changes the rates.
      const cpuRatio = rounded(cpuOf(floor) / cpuOf(control));
      passes.push({ floor, control, ratio, cpuRatio });
    }
    result({
      benchmark: "floor",
      runs: RUNS,
      inFlight: IN_FLIGHT,
      floorBatch: BATCH,
      passes,
      ratio: median(passes.map(({ ratio }) => ratio)),
      cpuRatio: median(passes.map(({ cpuRatio }) => cpuRatio)),
    });
  } finally {
    await stores.stop();
  }
}
