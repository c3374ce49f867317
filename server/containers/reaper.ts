import { spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { isRunning } from "../adapters/local/process-table.ts";
import { dockerCli } from "./docker.ts";
import { type Owner, removeRun } from "./ownership.ts";

/**
 * `node reaper.ts RUN PID IDENTITY`: removes a run's containers once its owner is gone, also when the owner was killed.
 * It does what the library's own container Ryuk would do, without an image from a registry.
 */
const PROGRAM = fileURLToPath(import.meta.url);
const POLL_MS = 250;

/** Has the run removed when its owner ends; the answer calls that off, for an owner that has done it itself. */
export function reapAfter({ identity, pid, run }: Owner): () => void {
  const reaper = spawn(process.execPath, [PROGRAM, run, String(pid), identity], {
    detached: true,
    stdio: "ignore",
    cwd: "/",
  });
  reaper.unref();
  return () => void reaper.kill("SIGKILL");
}

if (process.argv[1] === PROGRAM) {
  const [run = "", pid = "", identity = ""] = process.argv.slice(2);
  // A terminal's Ctrl-C is for the owner; what it leaves is seen here.
  for (const signal of ["SIGINT", "SIGHUP", "SIGTERM"] as const) process.on(signal, () => {});
  while (isRunning(Number(pid), identity)) await sleep(POLL_MS);
  await removeRun(dockerCli, run);
}
