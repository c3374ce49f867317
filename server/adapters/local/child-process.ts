import { spawn } from "node:child_process";
import { closeSync, fstatSync, openSync, readSync, renameSync, statSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { HAError } from "../../core/errors.ts";
import { endProcess, isRunning, processIdentity } from "./process-table.ts";
import type { EndingStep } from "./process-table.ts";

const LOG_MAX_BYTES = 16 * 1024 * 1024;

/** How often a process that is no child is looked at. */
const WATCH_MS = 200;

/** A program to run in the background. */
export interface ProcessSpec {
  /** As people know it: `PostgreSQL`. */
  readonly name: string;
  readonly command: string;
  /** Visible to everyone on the machine: never a secret. */
  readonly args: readonly string[];
  /** The whole environment; nothing is inherited. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly uid?: number;
  readonly gid?: number;
  /** Opened by this process and appended to, so it may lie where `uid` cannot go. */
  readonly logFile: string;
  readonly outliveParent: boolean;
  /**
   * The file gets `{pid, identity, port}` as JSON, written by the child before it becomes the program: there is no
   * moment in which a crash of this process leaves a program running that nobody can find.
   */
  readonly note?: { readonly file: string; readonly port: number };
}

export interface ProcessExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface BackgroundProcess {
  readonly pid: number;
  readonly identity: string;
  readonly exited: Promise<ProcessExit>;
  /** The end of what this start has printed so far, at most 4 KB. */
  output(): string;
  /** Ends it step by step, SIGKILL last. Repeating it does nothing. */
  end(steps: readonly EndingStep[]): Promise<void>;
}

/**
 * Starts the program in a session of its own, so that neither Ctrl-C in this terminal nor the end of this process
 * reaches it; its output goes to the log file. Resolves when the program was started, not when it is ready.
 * @throws HAError MISSING_DEPENDENCY when it cannot be executed, CONFIG_INVALID when its log cannot be written
 */
export async function startProcess(spec: ProcessSpec): Promise<BackgroundProcess> {
  const log = openLog(spec);
  const logStart = fstatSync(log).size;
  try {
    const [command, args] = commandOf(spec);
    const child = spawn(command, args, {
      env: { ...spec.env },
      cwd: spec.cwd,
      uid: spec.uid,
      gid: spec.gid,
      detached: true,
      stdio: ["ignore", log, log],
    });
    const exited = new Promise<ProcessExit>((resolve) => {
      child.once("exit", (code, signal) => resolve({ code, signal }));
    });
    await new Promise<void>((resolve, reject) => {
      child.once("spawn", resolve);
      child.once("error", (error) => reject(notExecutable(spec, error)));
    });
    child.unref();
    const pid = child.pid!;
    // A program that ended at once has no identity any more; an empty one never matches, so nothing is signalled.
    const identity = processIdentity(pid) ?? "";
    if (!spec.outliveParent) killWithParent(child, exited);
    return {
      pid,
      identity,
      exited,
      output: () => tailFrom(spec.logFile, logStart),
      async end(steps) {
        child.ref(); // else this process could run out of things to wait for before the exit is announced
        await endProcess(pid, identity, steps);
        await exited;
      },
    };
  } finally {
    closeSync(log);
  }
}

/** A process that somebody else started, watched by looking: its exit code is never known. */
export function processOf(pid: number, identity: string): BackgroundProcess {
  const gone = (): Promise<ProcessExit> =>
    new Promise((resolve) => {
      const timer = setInterval(() => {
        if (isRunning(pid, identity)) return;
        clearInterval(timer);
        resolve({ code: null, signal: null });
      }, WATCH_MS).unref();
    });
  return {
    pid,
    identity,
    exited: gone(),
    output: () => "",
    async end(steps) {
      await endProcess(pid, identity, steps);
    },
  };
}

/**
 * Asks again and again until the program answers. If it ends first, or the time is up, it is ended and the error says
 * what it printed.
 * @param ask true when ready; a rejection counts as not yet
 * @param explain turns what the program printed into a better error, where it knows one
 * @throws HAError of `explain`, or STORE_UNAVAILABLE
 */
export async function untilReady(
  name: string,
  started: BackgroundProcess,
  ask: () => Promise<boolean>,
  timeoutMs: number,
  explain: (output: string) => HAError | null = () => null,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  let exit: ProcessExit | null = null;
  void started.exited.then((how) => (exit = how));
  for (let pauseMs = 5; ; pauseMs = Math.min(100, pauseMs * 2)) {
    if (await ask().catch(() => false)) return;
    if (exit !== null || performance.now() >= deadline) break;
    await Promise.race([sleep(pauseMs), started.exited]);
  }
  await started.end([{ signal: "SIGTERM", waitMs: 2_000 }]);
  const output = started.output().trim();
  const what = exit === null ? `did not answer within ${timeoutMs} ms` : `ended at once (${describe(exit)})`;
  throw (
    explain(output) ?? new HAError("STORE_UNAVAILABLE", `${name} ${what}; it printed:\n${output}`, { name })
  );
}

/**
 * A shell that notes itself, then becomes the program: `exec` keeps pid and start time, so what it noted stays true.
 * The identity is spelt as in process-table.ts. `$0` is the file, `$1` the port, the rest the program.
 */
const NOTE_THEN_EXEC = `
identity() {
  if [ -r /proc/$$/stat ]; then
    read -r boot </proc/sys/kernel/random/boot_id && read -r stat </proc/$$/stat
    set -- \${stat##*) }
    echo "$boot:\${20}"
  else
    set -- $(LC_ALL=C /bin/ps -o lstart= -p $$)
    echo "$*"
  fi
}
printf '{"pid":%s,"identity":"%s","port":%s}\\n' $$ "$(identity)" "$1" >"$0" || exit 73
shift
exec "$@"`;

function commandOf(spec: ProcessSpec): [string, readonly string[]] {
  if (spec.note === undefined) return [spec.command, spec.args];
  const { file, port } = spec.note;
  return ["/bin/sh", ["-c", NOTE_THEN_EXEC, file, String(port), spec.command, ...spec.args]];
}

const describe = (exit: ProcessExit): string => exit.signal ?? `exit code ${exit.code}`;

/** A log above `LOG_MAX_BYTES` is set aside at the next start, so that years of restarts do not fill the disk. */
function openLog(spec: ProcessSpec): number {
  try {
    const size = statSync(spec.logFile, { throwIfNoEntry: false })?.size ?? 0;
    if (size > LOG_MAX_BYTES) renameSync(spec.logFile, `${spec.logFile}.1`);
    return openSync(spec.logFile, "a+", 0o600);
  } catch (cause) {
    throw new HAError(
      "CONFIG_INVALID",
      `cannot write the log of ${spec.name}, ${spec.logFile}`,
      {},
      { cause },
    );
  }
}

function notExecutable(spec: ProcessSpec, cause: Error): HAError {
  const message = `cannot run ${spec.name} (${spec.command}): ${cause.message}`;
  return new HAError("MISSING_DEPENDENCY", message, { command: spec.command }, { cause });
}

function killWithParent(child: ReturnType<typeof spawn>, exited: Promise<ProcessExit>): void {
  const kill = (): void => void child.kill("SIGKILL");
  process.once("exit", kill);
  void exited.then(() => process.removeListener("exit", kill));
}

/** What the log holds after `start`, cut to its last 4 KB; nothing where somebody has taken the file away. */
function tailFrom(logFile: string, start: number): string {
  let file: number;
  try {
    file = openSync(logFile, "r");
  } catch {
    return "";
  }
  try {
    const { size } = fstatSync(file);
    const from = Math.max(start, size - 4_096);
    const bytes = Buffer.alloc(Math.max(0, size - from));
    const read = readSync(file, bytes, 0, bytes.length, from);
    return bytes.toString("utf8", 0, read);
  } finally {
    closeSync(file);
  }
}
