import { accessSync, constants } from "node:fs";
import { statfs } from "node:fs/promises";
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
  if (freeBytes < DISK_FULL_BYTES) return failing(what, "make room: PostgreSQL stops when the disk is full");
  return freeBytes < DISK_LOW_BYTES ? warning(what, "make room before PostgreSQL runs out of it") : ok(what);
}

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
        "run as the user that owns it, or pick another --data-dir",
      ),
    ];
  }
}
