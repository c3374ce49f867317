import type { CpuSeconds } from "./process-table.ts";

/** Numbers of one side of a benchmark. */
export interface Figures {
  readonly runsPerSecond: number;
  readonly ackMs: { readonly p50: number; readonly p99: number };
  readonly endToEndMs: { readonly p50: number; readonly p99: number };
  /** CPU milliseconds per run, by kind of process. */
  readonly cpuMsPerRunOf: Readonly<Record<string, number>>;
}

/** What `fan-out` and `idle-sockets` are told. */
export interface BenchmarkOptions {
  /** Smaller and shorter: whether it works, not how well. */
  readonly quick: boolean;
  readonly durationMs: number | undefined;
}

/** CPU milliseconds of one run, all processes together. */
export const cpuOf = ({ cpuMsPerRunOf }: Figures): number =>
  toMicroseconds(Object.values(cpuMsPerRunOf).reduce((sum, ms) => sum + ms, 0));

/** The value below which a share of the samples lies, rounded to two digits. */
export function percentile(samples: readonly number[], share: number): number {
  if (samples.length === 0) return Number.NaN;
  const sorted = [...samples].sort((a, b) => a - b);
  const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
  return rounded(value);
}

/** Milliseconds with three digits: a run of the floor costs some hundredths. */
const toMicroseconds = (ms: number): number => Math.round(ms * 1_000) / 1_000;

export const rounded = (value: number): number => Math.round(value * 100) / 100;

export const summary = (samples: readonly number[]): { p50: number; p99: number } => ({
  p50: percentile(samples, 0.5),
  p99: percentile(samples, 0.99),
});

/** The middle one of several passes: one pass that met a busy machine does not decide. */
export const median = (values: readonly number[]): number => percentile(values, 0.5);

/** Results go to stdout as JSON, progress to stderr. */
export const progress = (text: string): void => void process.stderr.write(`${text}\n`);
export const result = (value: unknown): void =>
  void process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);

/** CPU milliseconds per run between two readings of the process table. */
export const cpuMsPerRun = (before: CpuSeconds, after: CpuSeconds, runs: number): Record<string, number> =>
  Object.fromEntries(
    Object.entries(after).map(([kind, cpu]) => [
      kind,
      toMicroseconds(((cpu - (before[kind] ?? 0)) * 1_000) / runs),
    ]),
  );
