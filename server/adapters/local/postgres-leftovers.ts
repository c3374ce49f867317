import { readdir, readlink, realpath, rm } from "node:fs/promises";
import { join } from "node:path";
import { endProcess, processIdentity } from "./process-table.ts";

/**
 * Clears what a killed server leaves in the way of the next one; called when no postmaster of the folder runs.
 *
 * - Backends outlive a postmaster that got SIGKILL until they next wait for something, for hours in a long query, and
 *   hold its shared memory: the next start is refused. They are ended; nobody can hear their answers any more.
 * - `postmaster.pid` may name a process that has the pid by now (after a reboot any program may): PostgreSQL refuses to
 *   start then. Once no process works in the folder the file says nothing.
 *
 * Only where /proc tells who works in the folder; elsewhere PostgreSQL's own check and its message remain.
 */
export async function clearLeftovers(dataDir: string): Promise<void> {
  if (process.platform !== "linux") return;
  for (const pid of await processesIn(dataDir)) {
    const identity = processIdentity(pid);
    if (identity !== null) await endProcess(pid, identity, [{ signal: "SIGQUIT", waitMs: 1_000 }]);
  }
  await rm(join(dataDir, "postmaster.pid"), { force: true });
}

/** True when the process works in that folder; null where this system does not tell. */
export async function worksIn(pid: number, folder: string): Promise<boolean | null> {
  if (process.platform !== "linux") return null;
  const wanted = await realpath(folder).catch(() => folder);
  return (await readlink(`/proc/${pid}/cwd`).catch(() => null)) === wanted;
}

async function processesIn(folder: string): Promise<number[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/u.test(name)).map(Number);
  const found: number[] = [];
  for (const pid of pids) if ((await worksIn(pid, folder)) === true) found.push(pid);
  return found;
}
