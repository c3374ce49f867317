import { readdir, rename, stat } from "node:fs/promises";
import path from "node:path";
import { deploymentPaths } from "./deployment.ts";

/** A log is put aside at the next start of its process once it is larger than this; one older one is kept. */
export const ROTATE_ABOVE_BYTES = 16 * 1024 * 1024;

const SUFFIX = ".log";
const OLDER = ".1";

/** Where the process of an instance, a store or the supervisor prints to. */
export const logFileOf = (dataDir: string, id: string): string =>
  path.join(deploymentPaths(dataDir).logs, id + SUFFIX);

/** The log before the last rotation; it may not exist. */
export const olderLogFileOf = (dataDir: string, id: string): string => logFileOf(dataDir, id) + OLDER;

/**
 * Puts a log that has grown large aside. Called before a start only: a running process holds its file open and would
 * go on writing to the one put aside.
 */
export async function rotateLog(file: string, aboveBytes = ROTATE_ABOVE_BYTES): Promise<void> {
  const size = await stat(file).then(
    (stats) => stats.size,
    () => 0,
  );
  if (size > aboveBytes) await rename(file, file + OLDER);
}

/** Ids that have a log, in order. */
export async function loggedIds(dataDir: string): Promise<string[]> {
  const names = await readdir(deploymentPaths(dataDir).logs).catch(() => []);
  return names
    .filter((name) => name.endsWith(SUFFIX))
    .map((name) => name.slice(0, -SUFFIX.length))
    .sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
}
