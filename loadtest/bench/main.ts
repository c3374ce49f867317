import { progress } from "./report.ts";

/** `npm run bench -- NAME [--quick]`: prints ratios and figures, those of a ratio measured side by side in one run. */
const BENCHMARKS: Readonly<Record<string, (quick: boolean) => Promise<void>>> = {
  floor: async () => (await import("./floor.ts")).floorBenchmark(),
  statements: async () => (await import("./statements.ts")).statementsBenchmark(),
  peers: async () => (await import("./peers.ts")).peersBenchmark(),
  growth: async () => (await import("./growth.ts")).growthBenchmark(),
  takeover: async () => (await import("./takeover.ts")).takeoverBenchmark(),
  openclaw: async () => (await import("./openclaw.ts")).openclawBenchmark(),
  footprint: async () => (await import("./footprint.ts")).footprintBenchmark(),
  "session-lists": async (quick) => (await import("./session-lists.ts")).sessionListsBenchmark(quick),
  polling: async (quick) => (await import("./polling.ts")).pollingBenchmark(quick),
};

const [name, ...flags] = process.argv.slice(2);
const benchmark = name === undefined ? undefined : BENCHMARKS[name];
if (!benchmark) {
  progress(`usage: npm run bench -- ${Object.keys(BENCHMARKS).join("|")} [--quick]`);
  process.exitCode = 2;
} else {
  await benchmark(flags.includes("--quick"));
}
