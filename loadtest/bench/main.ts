import { progress } from "./report.ts";

/** `npm run bench -- NAME`: prints ratios and figures, those of a ratio measured side by side in one run. */
const BENCHMARKS: Readonly<Record<string, () => Promise<void>>> = {
  floor: async () => (await import("./floor.ts")).floorBenchmark(),
  statements: async () => (await import("./statements.ts")).statementsBenchmark(),
  peers: async () => (await import("./peers.ts")).peersBenchmark(),
  growth: async () => (await import("./growth.ts")).growthBenchmark(),
  takeover: async () => (await import("./takeover.ts")).takeoverBenchmark(),
  openclaw: async () => (await import("./openclaw.ts")).openclawBenchmark(),
  tenants: async () => (await import("./tenants.ts")).tenantsBenchmark(),
  cost: async () => (await import("./cost.ts")).costBenchmark(),
  footprint: async () => (await import("./footprint.ts")).footprintBenchmark(),
};

const [name] = process.argv.slice(2);
const benchmark = name === undefined ? undefined : BENCHMARKS[name];
if (!benchmark) {
  progress(`usage: npm run bench -- ${Object.keys(BENCHMARKS).join("|")}`);
  process.exitCode = 2;
} else {
  await benchmark();
}
