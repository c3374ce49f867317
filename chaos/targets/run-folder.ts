import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isRunning, processIdentity } from "../../server/adapters/local/process-table.ts";
import { endAllUnder } from "../../server/testing/processes-under.ts";

/**
 * Everything that a chaos run starts on this machine lies in a folder of its own under one known place, marked with
 * the process that owns it. So what a run that was killed has left behind is found by the next one.
 */
export interface RunFolder {
  readonly path: string;
  /** Ends every process that has to do with the folder, takes file systems off it, and removes it. */
  remove(): Promise<void>;
}

const OWNER = "owner.json";
/** A folder without a name in it is left alone for so long: another run may be making it. */
const NAMELESS_MS = 10_000;

/** Where runs of this user lie; another user's are not ours to end. */
const place = (): string => join(tmpdir(), `openclaw-ha-chaos-${process.getuid?.() ?? 0}`);

/** Makes the folder of this process's next deployment. */
export async function makeRunFolder(): Promise<RunFolder> {
  await mkdir(place(), { recursive: true, mode: 0o755 });
  const path = await mkdtemp(join(place(), "run-"));
  await writeFile(
    join(path, OWNER),
    JSON.stringify({ pid: process.pid, identity: processIdentity(process.pid) }),
  );
  return { path, remove: () => removeFolder(path) };
}

/** Ends what runs have left behind whose process is gone. Answers how many there were. */
export async function clearLeftovers(progress: (text: string) => void): Promise<number> {
  const names = await readdir(place()).catch(() => []);
  let cleared = 0;
  for (const name of names) {
    const path = join(place(), name);
    if (await isOwned(path)) continue;
    progress(`ending what an earlier run left in ${path}`);
    await removeFolder(path);
    cleared++;
  }
  return cleared;
}

async function isOwned(path: string): Promise<boolean> {
  try {
    const { pid, identity } = JSON.parse(await readFile(join(path, OWNER), "utf8")) as {
      readonly pid: number;
      readonly identity: string;
    };
    return isRunning(pid, identity);
  } catch {
    // Killed before it could write its name, or about to.
    const age = await stat(path).then(
      ({ mtimeMs }) => Date.now() - mtimeMs,
      () => Number.POSITIVE_INFINITY,
    );
    return age < NAMELESS_MS;
  }
}

async function removeFolder(path: string): Promise<void> {
  await endAllUnder(path);
  for (const mounted of mountsUnder(path)) execFileSync("umount", ["-l", mounted]);
  await rm(path, { recursive: true, force: true, maxRetries: 3 });
}

/** File systems mounted in the folder, the innermost first. Linux only; elsewhere chaos mounts none. */
function mountsUnder(path: string): string[] {
  if (process.platform !== "linux") return [];
  return readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[1] ?? "")
    .filter((mounted) => mounted.startsWith(`${path}/`))
    .toReversed();
}

/** Folders of runs that exist now, for tests. */
export const runFolders = (): string[] => {
  try {
    return readdirSync(place()).map((name) => join(place(), name));
  } catch {
    return [];
  }
};
