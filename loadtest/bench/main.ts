import { parseArgs } from "node:util";
import { type BenchmarkOptions, progress } from "./report.ts";

/** `npm run bench -- NAME`: prints ratios and figures, those of a ratio measured side by side in one run. */
const BENCHMARKS: Readonly<Record<string, (options: BenchmarkOptions) => Promise<void>>> = {
  floor: async () => (await import("./floor.ts")).floorBenchmark(),
  statements: async () => (await import("./statements.ts")).statementsBenchmark(),
  peers: async () => (await import("./peers.ts")).peersBenchmark(),
  growth: async () => (await import("./growth.ts")).growthBenchmark(),
  takeover: async () => (await import("./takeover.ts")).takeoverBenchmark(),
  openclaw: async () => (await import("./openclaw.ts")).openclawBenchmark(),
  tenants: async () => (await import("./tenants.ts")).tenantsBenchmark(),
  cost: async () => (await import("./cost.ts")).costBenchmark(),
  footprint: async () => (await import("./footprint.ts")).footprintBenchmark(),
  "session-lists": async (options) => (await import("./session-lists.ts")).sessionListsBenchmark(options),
  polling: async (options) => (await import("./polling.ts")).pollingBenchmark(options),
  "fan-out": async (options) => (await import("./fan-out.ts")).fanOutBenchmark(options),
  "idle-sockets": async (options) => (await import("./idle-sockets.ts")).idleSocketsBenchmark(options),
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { quick: { type: "boolean", default: false }, duration: { type: "string" } },
});
const benchmark = BENCHMARKS[positionals[0] ?? ""];
const seconds = Number(values.duration ?? 1);
if (!benchmark || !(seconds > 0)) {
  progress(`usage: npm run bench -- ${Object.keys(BENCHMARKS).join("|")} [--quick] [--duration SECONDS]`);
  process.exitCode = 2;
} else {
  const durationMs = values.duration === undefined ? undefined : seconds * 1_000;
  await benchmark({ quick: values.quick, durationMs });
}
