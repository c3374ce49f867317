import { setTimeout as sleep } from "node:timers/promises";
import { startProcess } from "../adapters/local/child-process.ts";
import { HAError } from "../core/errors.ts";
import { ensureFolder } from "./atomic-file.ts";
import { findSupervisor } from "./client.ts";
import type { SupervisorClient } from "./client.ts";
import type { Progress } from "./contract.ts";
import { deploymentPaths } from "./deployment.ts";
import { logFileOf, rotateLog } from "./log-files.ts";
import { machineProcesses } from "./machine.ts";

export interface LaunchOptions {
  readonly dataDir: string;
  readonly name: string;
  /** How this program is started; `serve supervisor` and the deployment follow. */
  readonly program: { readonly command: string; readonly args: readonly string[] };
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

const POLL_MS = 25;
const START_TIMEOUT_MS = 20_000;

/**
 * The supervisor of a data directory: the one that runs, or a new one that takes over what runs. One that runs but
 * does not answer is ended first, which harms nothing: what it watches does not depend on it. Of several callers at
 * the same moment all get the same supervisor.
 * @throws HAError CONFIG_INVALID when the directory cannot be written or is of a newer release, NOT_RUNNING when a
 *   supervisor does not come up
 */
export async function ensureSupervisor(options: LaunchOptions): Promise<SupervisorClient> {
  const { dataDir, progress, signal } = options;
  const found = await findSupervisor(dataDir);
  if (found !== null) {
    if (await answers(found)) return found;
    progress(`the supervisor (pid ${found.pid}) does not answer: starting another one`);
    await machineProcesses.adopt(found.pid, found.address.birth).end([]);
  }
  const { logs } = deploymentPaths(dataDir);
  await ensureFolder(logs);
  const deadline = performance.now() + START_TIMEOUT_MS;
  let started = await launch(options);
  for (;;) {
    signal.throwIfAborted();
    const running = await findSupervisor(dataDir);
    if (running !== null && (await answers(running))) return running;
    const exit = await Promise.race([started.exited, sleep(POLL_MS, null)]);
    // It may have lost the lock to one that was faster, or to one that is just ending.
    const lostLock = exit?.code === LOCKED_EXIT;
    if (performance.now() > deadline || (exit !== null && !lostLock)) throw notUp(started.output());
    if (lostLock && (await findSupervisor(dataDir)) === null) {
      await sleep(POLL_MS * 4);
      started = await launch(options);
    }
  }
}

/** Exit code of HAError TIMEOUT, with which a supervisor ends that did not get the lock. */
const LOCKED_EXIT = 75;

const answers = (client: SupervisorClient): Promise<boolean> =>
  client.view().then(
    () => true,
    () => false,
  );

async function launch({ dataDir, env, name, program }: LaunchOptions): ReturnType<typeof startProcess> {
  const logFile = logFileOf(dataDir, "supervisor");
  await rotateLog(logFile);
  const inherited = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return startProcess({
    name: "supervisor",
    command: program.command,
    args: [...program.args, "--name", name, "--data-dir", dataDir, "serve", "supervisor"],
    env: Object.fromEntries(inherited),
    logFile,
    outliveParent: true,
  });
}

const notUp = (output: string): HAError =>
  new HAError("NOT_RUNNING", "the supervisor did not come up", {
    problems: output.trim().split("\n").slice(-5),
    hint: "see `openclaw-ha logs supervisor`",
  });
