import { readFileSync } from "node:fs";
import { execFileSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";

/** Longest a killed process may take to leave the process table; longer means that the kernel holds it (disk, NFS). */
const KILL_TIMEOUT_MS = 10_000;
const POLL_MS = 20;

/**
 * What tells one process from a later one with the same pid: its start time, as the kernel keeps it (Linux: ticks
 * since boot and the boot's id, elsewhere what `ps` prints). Null when there is no such process, or only its zombie.
 */
export function processIdentity(pid: number): string | null {
  if (!Number.isInteger(pid) || pid <= 0) return null;
  return process.platform === "linux" ? linuxIdentity(pid) : portableIdentity(pid);
}

/** True while exactly that process runs. */
export const isRunning = (pid: number, identity: string): boolean => processIdentity(pid) === identity;

/** One step of an ending: a signal, and how long to wait for its effect before the next one. */
export interface EndingStep {
  readonly signal: NodeJS.Signals;
  readonly waitMs: number;
}

/**
 * Ends a process step by step, SIGKILL last, and resolves when it is gone. It never signals another process that got
 * the same pid, works on processes that are no children of ours, and does nothing when the process has ended already.
 * @returns the last signal that was sent, null when none was needed
 */
export async function endProcess(
  pid: number,
  identity: string,
  steps: readonly EndingStep[],
): Promise<NodeJS.Signals | null> {
  let last: NodeJS.Signals | null = null;
  for (const step of [...steps, { signal: "SIGKILL", waitMs: KILL_TIMEOUT_MS } as const]) {
    if (!isRunning(pid, identity)) return last;
    last = step.signal;
    sendSignal(pid, step.signal);
    if (await waitUntilGone(pid, identity, step.waitMs)) return last;
  }
  throw new Error(`process ${pid} is still there ${KILL_TIMEOUT_MS} ms after SIGKILL`);
}

/** True when the process was gone in time. Polling, because the exit of a process that is no child is not announced. */
export async function waitUntilGone(pid: number, identity: string, waitMs: number): Promise<boolean> {
  const deadline = performance.now() + waitMs;
  while (isRunning(pid, identity)) {
    if (performance.now() >= deadline) return false;
    await sleep(POLL_MS);
  }
  return true;
}

function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

function linuxIdentity(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The program's name stands in brackets and may itself hold brackets and blanks: count from the last one.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const state = fields[0];
    if (state === "Z" || state === "X") return null;
    return `${bootId()}:${fields[19]}`;
  } catch {
    return null;
  }
}

const bootId = (): string => readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();

function portableIdentity(pid: number): string | null {
  try {
    const line = execFileSync("ps", ["-o", "stat=,lstart=", "-p", String(pid)], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
      env: { PATH: "/bin:/usr/bin", LC_ALL: "C" },
    }).trim();
    const [state = "", ...started] = line.split(/\s+/u);
    return line === "" || state.startsWith("Z") ? null : started.join(" ");
  } catch {
    return null;
  }
}
