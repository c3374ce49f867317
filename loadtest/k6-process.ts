import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { HAError } from "../server/core/errors.ts";

const SCRIPT = fileURLToPath(new URL("k6/main.ts", import.meta.url));
/** k6 ends its connections and writes its summary after the first signal; then it has had its chance. */
const STOP_GRACE_MS = 5_000;
/** Lines of its log that an error shows; one mistake in a script is told by every VU. */
const LOG_LINES = 20;

export interface K6Run {
  readonly program: string;
  readonly planFile: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
  readonly onStart: (pid: number) => void;
  /** Lines of its JSON output. */
  readonly onLine: (line: string) => void;
}

/** How k6 came to its end by itself. */
export interface K6End {
  readonly exitCode: number;
  /** What its log says beyond information, shortened. */
  readonly complaints: readonly string[];
}

/**
 * Runs the scripts to their end. Whatever happens, no k6 is left: it gets SIGINT when the signal aborts and SIGKILL
 * when that does not help; and should we be killed, its next write to our pipe ends it.
 * @throws HAError MISSING_DEPENDENCY when it cannot be started, INTERNAL when a signal of somebody else ended it;
 *   the signal's reason when it aborts
 */
export async function runK6({ program, planFile, env, signal, onStart, onLine }: K6Run): Promise<K6End> {
  signal.throwIfAborted();
  const args = [
    "run",
    "--quiet",
    "--no-color",
    "--no-usage-report",
    "--address",
    "",
    "--out",
    "json=-",
    SCRIPT,
  ];
  const running = execa(program, args, {
    env: { PATH: env["PATH"], HOME: env["HOME"], TMPDIR: env["TMPDIR"], LOADTEST_PLAN: planFile },
    extendEnv: false,
    stdin: "ignore",
    buffer: false,
    reject: false,
  });
  let killing: NodeJS.Timeout | undefined;
  const stop = (): void => {
    running.kill("SIGINT");
    killing = setTimeout(() => running.kill("SIGKILL"), STOP_GRACE_MS);
  };
  signal.addEventListener("abort", stop, { once: true });
  const complaints: string[] = [];
  try {
    if (running.pid !== undefined) onStart(running.pid);
    createInterface({ input: running.stderr }).on("line", (line) => note(complaints, line));
    createInterface({ input: running.stdout }).on("line", onLine);
    const ended = await running;
    signal.throwIfAborted();
    if (running.pid === undefined) {
      throw new HAError("MISSING_DEPENDENCY", `${program} cannot be started: ${ended.shortMessage ?? ""}`);
    }
    if (ended.exitCode === undefined) {
      throw new HAError("INTERNAL", `k6 was ended by ${ended.signal ?? "a signal"}: there is no result`, {
        hint: "was it the machine, short of memory? Try fewer --vus",
      });
    }
    return { exitCode: ended.exitCode, complaints };
  } finally {
    signal.removeEventListener("abort", stop);
    clearTimeout(killing);
  }
}

/** logfmt, one message a line; that timers end with their VU is a consequence of something else. */
function note(complaints: string[], line: string): void {
  if (/level=info|was stopped because the VU/.test(line)) return;
  const text = /msg="((?:[^"\\]|\\.)*)"/.exec(line)?.[1]?.replace(/\\n\\t|\\n/g, " ") ?? line;
  if (complaints.length < LOG_LINES && !complaints.includes(text)) complaints.push(text);
}
