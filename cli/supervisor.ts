import { existsSync } from "node:fs";
import path from "node:path";
import { HAError, isHAError } from "../server/core/errors.ts";
import type { SupervisorClient } from "../server/supervisor/client.ts";
import { ensureSupervisor } from "../server/supervisor/launch.ts";
import { findSupervisor } from "../server/supervisor/client.ts";
import { createMonitor } from "../server/supervisor/monitor.ts";
import { viewFromFiles } from "../server/supervisor/files-view.ts";
import type { DeploymentView } from "../server/supervisor/view.ts";
import { readDeployment } from "../server/supervisor/deployment.ts";
import type { CliContext } from "./context.ts";
import { mainOf } from "./upgrade/find-program.ts";

/** How this very program is started: the same Node, with the same flags. */
export const programOf = ({ projectRoot }: CliContext) => programAt(projectRoot);

/** As this program is, from another checkout; the Node that it brings goes with it. */
function programAt(root: string) {
  const own = path.join(root, "node_modules", "node", "bin", "node");
  const ours = path.relative(root, process.execPath).startsWith("..") && existsSync(own);
  return { command: ours ? own : process.execPath, args: [...process.execArgv, mainOf(root)] };
}

/** A deployment that runs is kept by the release that it runs on; one that does not, by this one. */
async function keeperRoot({ deployment, projectRoot }: CliContext): Promise<string> {
  const state = await readDeployment(deployment.dataDir);
  const root = state === null || state.phase === "stopped" ? undefined : state.program?.root;
  return root !== undefined && existsSync(mainOf(root)) ? root : projectRoot;
}

/**
 * Gives the supervisor one order. A supervisor that runs gets it; else one is started, of the checkout `root` or of the
 * release that the deployment runs on, which takes over what an earlier one left. One that is just ending is waited for.
 * @throws HAError as the order threw it
 */
export async function order<T>(
  context: CliContext,
  work: (supervisor: SupervisorClient) => Promise<T>,
  root?: string,
): Promise<T> {
  const { clock, output, signal } = context;
  for (let tries = 1; ; tries++) {
    const supervisor = await ensureSupervisor({
      ...context.deployment,
      program: programAt(root ?? (await keeperRoot(context))),
      env: context.env,
      progress: (text) => output.progress(text),
      signal,
    });
    try {
      return await work(supervisor);
    } catch (error) {
      // An order that was under way when somebody said `down` has lost; one that came too late goes to the next.
      const ending =
        isHAError(error, "NOT_RUNNING") || (isHAError(error, "DRAINING") && error.details["retry"] === true);
      if (!ending || tries === ORDER_TRIES || signal.aborted) throw error;
      await untilGone(context, supervisor);
      await clock.sleep(ORDER_PAUSE_MS, signal);
    }
  }
}

const ORDER_TRIES = 3;
const ORDER_PAUSE_MS = 100;
/** A deployment that is being stopped by somebody else may first drain its instances. */
const ENDING_MAX_MS = 60_000;
const POLL_MS = 20;
const NOTED_MAX_MS = 1_000;

/** Until its process is gone, not only its address. @throws HAError TIMEOUT when it does not end */
export async function untilGone({ clock, signal }: CliContext, supervisor: SupervisorClient): Promise<void> {
  const deadline = clock.monotonic() + ENDING_MAX_MS;
  while (supervisor.isAlive()) {
    signal.throwIfAborted();
    if (clock.monotonic() > deadline) {
      throw new HAError("TIMEOUT", `the supervisor (pid ${supervisor.pid}) does not end`, {
        pid: supervisor.pid,
      });
    }
    await clock.sleep(POLL_MS, signal);
  }
  // It has ended; scripts that ask `kill -0` are answered no only once its parent, init, has taken note of it.
  const noted = clock.monotonic() + NOTED_MAX_MS;
  while (isListed(supervisor.pid) && clock.monotonic() < noted) await clock.sleep(POLL_MS, signal);
}

function isListed(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** A deployment as its supervisor sees it or, without one that answers, as its files and processes tell. */
export async function currentView({ clock, deployment }: CliContext): Promise<DeploymentView> {
  const supervisor = await findSupervisor(deployment.dataDir);
  if (supervisor !== null) {
    const view = await supervisor.view().catch(() => null);
    if (view !== null) return view;
  }
  return viewFromFiles(deployment.dataDir, deployment.name, async (url) => {
    const { supervisorDatabase } = await import("../server/supervisor-database.ts");
    const database = supervisorDatabase();
    const observation = await createMonitor(clock, () => database.observe({ url })).latest(0);
    const activity = observation && (await createMonitor(clock, () => database.activity({ url })).latest(0));
    // One that did not answer would not say goodbye either.
    void database.close().catch(() => {});
    return observation && { observation, activity };
  });
}
