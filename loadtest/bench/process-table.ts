import { readdirSync, readFileSync } from "node:fs";

/** CPU seconds since the start, by kind of process. */
export type CpuSeconds = Readonly<Record<string, number>>;

/** Ticks of the kernel's clock per second: 100 on every Linux that Node runs on (USER_HZ, proc(5)). */
const TICKS_PER_SECOND = 100;

interface ProcessEntry {
  readonly pid: number;
  readonly parent: number;
  readonly kind: string;
  readonly cpuSeconds: number;
}

/** CPU seconds of the processes given and all their descendants, of children that have ended too. Linux only. */
export function cpuSecondsByKind(roots: readonly number[]): CpuSeconds {
  const sums: Record<string, number> = {};
  for (const { kind, cpuSeconds } of withDescendants(roots)) sums[kind] = (sums[kind] ?? 0) + cpuSeconds;
  return sums;
}

/** Resident memory of one process in bytes. */
export function residentBytes(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/mu.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kilobytes) * 1_024;
}

/** Memory of the processes given and all their descendants in bytes; a page that several share counts once in all. */
export function proportionalBytes(roots: readonly number[]): number {
  const kilobytes = withDescendants(roots).map(({ pid }) => {
    try {
      return Number(/^Pss:\s+(\d+) kB$/mu.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1] ?? 0);
    } catch {
      return 0; // ended while we looked
    }
  });
  return kilobytes.reduce((sum, size) => sum + size, 0) * 1_024;
}

function withDescendants(roots: readonly number[]): ProcessEntry[] {
  const all = processes();
  const wanted = new Set(roots);
  for (let size = 0; size !== wanted.size;) {
    size = wanted.size;
    for (const { pid, parent } of all) if (wanted.has(parent)) wanted.add(pid);
  }
  return all.filter(({ pid }) => wanted.has(pid));
}

function processes(): ProcessEntry[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/u.test(name))
    .flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, "utf8");
        const command = readFileSync(`/proc/${name}/cmdline`, "utf8").split("\0");
        return [entryOf(Number(name), stat, command)];
      } catch {
        return []; // ended while we looked
      }
    });
}

function entryOf(pid: number, stat: string, command: readonly string[]): ProcessEntry {
  // The name stands in parentheses and may hold anything; the fields behind it are counted from 3 (proc(5)).
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const field = (number: number): number => Number(fields[number - 3]);
  const ticks = field(14) + field(15) + field(16) + field(17); // user, system, and those of waited-for children
  // A process that has ended and is not waited for yet has no command line any more.
  const kind = command[0] ? kindOf(command) : stat.slice(stat.indexOf("(") + 1, stat.lastIndexOf(")"));
  return { pid, parent: field(4), kind, cpuSeconds: ticks / TICKS_PER_SECOND };
}

/** `serve ROLE` by its role, anything else by its program. */
function kindOf(command: readonly string[]): string {
  const role = command[command.indexOf("serve") + 1];
  if (command.includes("serve") && role !== undefined) return role;
  return (command[0] ?? "").split(" ")[0]?.split("/").at(-1)?.replace(/:$/u, "") ?? "";
}
