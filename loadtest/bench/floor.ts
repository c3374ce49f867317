import { controlPathLoad } from "./control-path-load.ts";
import { floorPath } from "./floor-path.ts";
import { median, progress, result, rounded } from "./report.ts";
import { startStores } from "./stores.ts";

/** Some seconds of each, on a machine of two cores. */
const RUNS = { floor: 30_000, control: 10_000 };
const IN_FLIGHT = 256;
const BATCH = 64;
const PASSES = 3;

/** The control path beside the floor of the machine, in turns on the same stores; durable commits in both. */
export async function floorBenchmark(): Promise<void> {
  const stores = await startStores();
  try {
    const load = { ...stores, inFlight: IN_FLIGHT };
    const passes = [];
    for (let pass = 1; pass <= PASSES; pass++) {
      const floor = await floorPath({ ...load, runs: RUNS.floor, batch: BATCH });
      const control = await controlPathLoad({ ...load, runs: RUNS.control });
      const ratio = rounded(control.runsPerSecond / floor.runsPerSecond);
      progress(
        `pass ${pass}: floor ${floor.runsPerSecond}/s, control path ${control.runsPerSecond}/s, ratio ${ratio}`,
      );
      passes.push({ floor, control, ratio });
    }
    result({
      benchmark: "floor",
      runs: RUNS,
      inFlight: IN_FLIGHT,
      floorBatch: BATCH,
      passes,
      ratio: median(passes.map(({ ratio }) => ratio)),
    });
  } finally {
    await stores.stop();
  }
}
