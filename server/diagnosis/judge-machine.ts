import { accessSync, constants } from "node:fs";
import { readFile, statfs } from "node:fs/promises";
import { failing, type Finding, ok, warning } from "./finding.ts";
import { compareVersions } from "./judge-stores.ts";

/** Runs TypeScript sources as they are. */
export const NODE_MIN = "22.22.0";
const MIB = 1024 ** 2;
/** Embedded PostgreSQL keeps 1 GB of write-ahead log under load by default. */
const DISK_LOW_BYTES = 2 * 1024 * MIB;
const DISK_FULL_BYTES = 256 * MIB;

export function judgeNode(version: string): Finding {
  return compareVersions(version, NODE_MIN) < 0
    ? failing(
        `Node.js ${version} is too old`,
        "it cannot run TypeScript as it is",
        `use Node.js ${NODE_MIN} or later, or start bin/openclaw-ha, which brings its own`,
      )
    : ok(`Node.js ${version}`);
}

export function judgeDisk(folder: string, freeBytes: number): Finding {
  const free =
    freeBytes >= 1024 * MIB
      ? `${(freeBytes / 1024 / MIB).toFixed(1)} GiB`
      : `${Math.round(freeBytes / MIB)} MiB`;
  const what = `${free} free where ${folder} lies`;
  if (freeBytes < DISK_FULL_BYTES)
    return failing(what, "PostgreSQL stops when the disk is full", "make room, or move the data: --data-dir");
  return freeBytes < DISK_LOW_BYTES
    ? warning(what, "PostgreSQL stops when it runs out of it", "make room")
    : ok(what);
}

/** Files and sockets that a process may have open; a client is one, and so is a file of the Control UI. */
export function judgeOpenFiles(limit: number): Finding {
  const what = `a process may open ${limit === Infinity ? "any number of" : limit} files`;
  if (limit >= OPEN_FILES_MIN) return ok(what);
  return warning(
    what,
    `a gateway is meant for ${CLIENTS} clients or more, and each is one`,
    `ulimit -n ${OPEN_FILES_MIN}, or LimitNOFILE=${OPEN_FILES_MIN} of its service, then openclaw-ha upgrade`,
  );
}

const CLIENTS = 2_000;
const OPEN_FILES_MIN = 4_096;

/** The hard limit: Node raises its own to it. Null where the system does not say. */
export async function openFilesLimit(): Promise<number | null> {
  const limits = await readFile("/proc/self/limits", "utf8").catch(() => "");
  const hard = /^Max open files +\S+ +(\S+)/m.exec(limits)?.[1];
  if (hard === undefined) return null;
  return hard === "unlimited" ? Infinity : Number(hard);
}

/** Programs that only some commands need: nothing is wrong without them. */
export const judgePrograms = (find: (name: string) => string | null): Finding[] =>
  [
    ["k6", "openclaw-ha loadtest fetches it at its first use"],
    ["bwrap", "no tool of this release runs programs, so that nothing needs its sandbox (bubblewrap)"],
  ].map(([name = "", without = ""]) => {
    const found = find(name);
    return ok(found === null ? `${name} is not installed: ${without}` : `${name} is ${found}`);
  });

/** The data directory of a deployment that was started: writable, and with room to grow. */
export async function diagnoseDataDir(folder: string): Promise<Finding[]> {
  try {
    accessSync(folder, constants.R_OK | constants.W_OK);
    const { bavail, bsize } = await statfs(folder);
    return [judgeDisk(folder, bavail * bsize)];
  } catch (error) {
    return [
      failing(
        `${folder} cannot be written: ${(error as Error).message}`,
        "nothing can be started, stopped or changed",
        "run as the user that owns it, or pick another --data-dir",
      ),
    ];
  }
}
