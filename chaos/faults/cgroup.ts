import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

/**
 * Limits of one process by the kernel's control groups, version 1 or 2: what containers are limited by. The kernel
 * counts how often a limit was met, which is the evidence that the fault happened.
 */
const ROOT = "/sys/fs/cgroup";

type Resource = "cpu" | "memory";

/** A process under a limit. */
export interface Limited {
  /** How often the process was made to wait, or was refused memory; also afterwards. */
  met(): number;
  /** Puts the process back where it was and removes the group. */
  lift(): void;
}

const isUnified = (): boolean => existsSync(join(ROOT, "cgroup.controllers"));
const hierarchyOf = (resource: Resource): string => (isUnified() ? ROOT : join(ROOT, resource));

/** True where this user may limit both. */
export function canLimit(): boolean {
  if (process.platform !== "linux") return false;
  try {
    for (const resource of ["cpu", "memory"] as const) {
      const group = join(hierarchyOf(resource), groupName("probe"));
      mkdirSync(group);
      try {
        accessSync(join(group, limitFile(resource)), constants.W_OK);
      } finally {
        rmdirSync(group);
      }
    }
    return true;
  } catch {
    return false;
  }
}

const limitFile = (resource: Resource): string =>
  resource === "cpu"
    ? isUnified()
      ? "cpu.max"
      : "cpu.cfs_quota_us"
    : isUnified()
      ? "memory.max"
      : "memory.limit_in_bytes";

const groupName = (what: string): string => `openclaw-ha-chaos-${process.pid}-${what}`;
const PERIOD_US = 100_000;

/** Lets a process run for that share of one core, 0 to 1. */
export function limitCpu(pid: number, share: number): Limited {
  const quota = Math.round(PERIOD_US * share);
  return limit("cpu", pid, isUnified() ? `${quota} ${PERIOD_US}` : String(quota), (group) =>
    countIn(join(group, "cpu.stat"), "nr_throttled"),
  );
}

/**
 * Lets a process take that much memory beyond what it has now (control groups do not move what is charged already,
 * and the limit counts from zero); the kernel kills it when it wants more.
 */
export function limitMemory(pid: number, bytes: number): Limited {
  return limit("memory", pid, String(bytes), (group) =>
    isUnified()
      ? countIn(join(group, "memory.events"), "max")
      : Number(readFileSync(join(group, "memory.failcnt"), "utf8")),
  );
}

function limit(resource: Resource, pid: number, value: string, count: (group: string) => number): Limited {
  const hierarchy = hierarchyOf(resource);
  const before = groupOf(pid, resource);
  const group = join(hierarchy, groupName(`${resource}-${pid}`));
  mkdirSync(group);
  let met = 0;
  let lifted = false;
  const look = (): number => (met = lifted ? met : Math.max(met, count(group)));
  try {
    writeFileSync(join(group, limitFile(resource)), value);
    writeFileSync(join(group, "cgroup.procs"), String(pid));
  } catch (error) {
    rmdirSync(group);
    throw error;
  }
  return {
    met: look,
    lift() {
      look();
      lifted = true;
      for (const member of readFileSync(join(group, "cgroup.procs"), "utf8").split("\n")) {
        if (member !== "") writeFileSync(join(hierarchy, before, "cgroup.procs"), member);
      }
      rmdirSync(group);
    },
  };
}

/** Where the process is now, relative to the hierarchy. */
function groupOf(pid: number, resource: Resource): string {
  for (const line of readFileSync(`/proc/${pid}/cgroup`, "utf8").split("\n")) {
    const [, controllers = "", path = "/"] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (isUnified() ? controllers === "" : controllers.split(",").includes(resource)) return path;
  }
  return "/";
}

const countIn = (file: string, name: string): number =>
  Number(new RegExp(`^${name} (\\d+)$`, "m").exec(readFileSync(file, "utf8"))?.[1] ?? 0);
