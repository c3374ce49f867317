import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { cpuSecondsByKind, type CpuSeconds } from "./bench/process-table.ts";
import type { RunSeries } from "./series.ts";

/** Who used the machine while the load ran, in CPU seconds. */
export interface CpuUse {
  readonly seconds: number;
  readonly cores: number;
  /** k6 and this program, which reads its output. */
  readonly generator: number;
  /** Null where the deployment's processes are not on this machine. */
  readonly deployment: number | null;
  readonly deploymentByKind: CpuSeconds;
  /** Of all processes, ours or not. */
  readonly machine: number;
}

interface Reading {
  /** Wall clock, seconds. */
  readonly at: number;
  readonly generator: number;
  readonly deployment: number | null;
  readonly byKind: CpuSeconds;
  readonly machine: number;
}

const EVERY_MS = 1_000;

/** Reads /proc until it is stopped: Linux only. */
export interface CpuWatch {
  generator(pid: number): void;
  /** From here on it counts: clients connecting are not the load. */
  begin(): void;
  /** Null where nothing was read. */
  end(): { readonly use: CpuUse; readonly series: NonNullable<RunSeries["cores"]> } | null;
}

/** @param roots processes of the deployment, which stand for all their descendants; null where there are none here */
export function watchCpu(roots: readonly number[] | null): CpuWatch {
  const generators = [process.pid];
  const readings: Reading[] = [];
  if (process.platform !== "linux") return { generator: () => {}, begin: () => {}, end: () => null };
  const read = (): void => {
    try {
      readings.push(reading(generators, roots));
    } catch {
      // The process table is a best effort: a missing point is a hole in a chart.
    }
  };
  const timer = setInterval(read, EVERY_MS);
  timer.unref();
  return {
    generator: (pid) => void generators.push(pid),
    begin() {
      readings.length = 0;
      read();
    },
    end() {
      clearInterval(timer);
      read();
      const [first, last] = [readings[0], readings.at(-1)];
      if (first === undefined || last === undefined || last.at <= first.at) return null;
      return { use: useBetween(first, last), series: coresOf(readings) };
    },
  };
}

function reading(generators: readonly number[], roots: readonly number[] | null): Reading {
  const byKind = roots === null ? {} : cpuSecondsByKind(roots);
  return {
    at: Date.now() / 1_000,
    generator: sum(cpuSecondsByKind(generators)),
    deployment: roots === null ? null : sum(byKind),
    byKind,
    machine: machineSeconds(),
  };
}

const sum = (seconds: CpuSeconds): number => Object.values(seconds).reduce((a, b) => a + b, 0);

/** proc(5), `cpu` of /proc/stat: user, nice, system, idle, iowait, irq, softirq; in hundredths of a second. */
function machineSeconds(): number {
  const fields =
    readFileSync("/proc/stat", "utf8").split("\n", 1)[0]?.trim().split(/\s+/).slice(1).map(Number) ?? [];
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = fields;
  return (user + nice + system + irq + softirq) / 100;
}

function useBetween(first: Reading, last: Reading): CpuUse {
  const kinds = Object.entries(last.byKind).map(([kind, seconds]): [string, number] => [
    kind,
    rounded(Math.max(0, seconds - (first.byKind[kind] ?? 0))),
  ]);
  return {
    seconds: rounded(last.at - first.at),
    cores: availableParallelism(),
    generator: rounded(last.generator - first.generator),
    // A process that died took its part along: the sum may then be a little short, never negative.
    deployment:
      last.deployment === null ? null : rounded(Math.max(0, last.deployment - (first.deployment ?? 0))),
    deploymentByKind: Object.fromEntries(kinds.filter(([, seconds]) => seconds > 0)),
    machine: rounded(last.machine - first.machine),
  };
}

const rounded = (seconds: number): number => Math.round(seconds * 100) / 100;

function coresOf(readings: readonly Reading[]): NonNullable<RunSeries["cores"]> {
  const steps = readings.slice(1).map((after, n) => ({ before: readings[n] as Reading, after }));
  const cores = (of: (reading: Reading) => number): number[] =>
    steps.map(({ before, after }) => Math.max(0, (of(after) - of(before)) / (after.at - before.at)));
  const seen = readings[0]?.deployment !== null;
  return {
    at: steps.map(({ after }) => after.at),
    generator: cores(({ generator }) => generator),
    deployment: seen ? cores(({ deployment }) => deployment ?? 0) : null,
    machine: cores(({ machine }) => machine),
  };
}
