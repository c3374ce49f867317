import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { endProcess, processIdentity } from "../adapters/local/process-table.ts";

/** A process that has to do with a folder. */
export interface FoundProcess {
  readonly pid: number;
  readonly command: string;
}

/**
 * Processes that run in that folder or below, or that name it in their arguments or environment, this one excepted:
 * so nothing that a deployment started can hide, whoever its parent is by now. Linux only; elsewhere it finds none.
 */
export function processesUnder(folder: string): FoundProcess[] {
  if (process.platform !== "linux") return [];
  const found: FoundProcess[] = [];
  for (const entry of readdirSync("/proc")) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    const command = read(() => readFileSync(`/proc/${pid}/cmdline`, "utf8"));
    // A zombie has no command line any more; kernel threads never had one.
    if (command === "") continue;
    const traces = [
      command,
      read(() => readFileSync(`/proc/${pid}/environ`, "utf8")),
      read(() => readlinkSync(`/proc/${pid}/cwd`)),
    ];
    if (traces.some((trace) => trace.includes(folder))) {
      found.push({ pid, command: command.replaceAll("\0", " ").trim() });
    }
  }
  return found;
}

/** A process may end while it is looked at, or be somebody else's. */
function read(look: () => string): string {
  try {
    return look();
  } catch {
    return "";
  }
}

/** Ends whatever has to do with a folder. Killed parents may start something before they die: it looks again. */
export async function endAllUnder(folder: string): Promise<void> {
  for (let found = processesUnder(folder); found.length > 0; found = processesUnder(folder)) {
    for (const { pid } of found) {
      const identity = processIdentity(pid);
      if (identity !== null) await endProcess(pid, identity, []);
    }
  }
}
