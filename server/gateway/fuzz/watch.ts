import { readdirSync, readFileSync } from "node:fs";

/** What a process holds at one moment. Linux only. */
export interface Footprint {
  readonly residentMb: number;
  readonly handles: number;
}

export function footprint(pid: number): Footprint {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return { residentMb: Number(kilobytes) / 1_024, handles: readdirSync(`/proc/${pid}/fd`).length };
}

/**
 * Megabytes by which a process has grown since it was warm: between the smallest sizes of the second and of the last
 * third, so that neither garbage that waits to be collected nor what a first request loads counts.
 */
export function growthMb(samples: readonly Footprint[]): number {
  const third = Math.floor(samples.length / 3);
  const least = (part: readonly Footprint[]): number => Math.min(...part.map(({ residentMb }) => residentMb));
  return third === 0 ? 0 : least(samples.slice(-third)) - least(samples.slice(third, 2 * third));
}
