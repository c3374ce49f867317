import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { homedir } from "node:os";
import path from "node:path";
import { HAError } from "../server/core/errors.ts";
import { notWritable } from "../server/supervisor/atomic-file.ts";
import { findSupervisor } from "../server/supervisor/client.ts";
import { deploymentPaths } from "../server/supervisor/deployment.ts";
import { viewFromFiles } from "../server/supervisor/files-view.ts";
import { tryLock } from "../server/supervisor/lock.ts";
import type { CliContext } from "./context.ts";
import { order, untilGone } from "./supervisor.ts";

/** What `down` did. */
interface DownReport {
  readonly name: string;
  readonly dataDir: string;
  readonly phase: "stopped";
  /** False when nothing ran. */
  readonly stopped: boolean;
  readonly purged: boolean;
}

/**
 * Stops the deployment: gateways drain first, stores go last, and nothing is left behind. Where nothing runs there is
 * nothing to do.
 * @throws HAError REQUEST_INVALID (2) for a purge that nobody confirmed
 */
export async function bringDown(
  context: CliContext,
  { purge, yes }: { readonly purge: boolean; readonly yes: boolean },
): Promise<void> {
  const { deployment, output } = context;
  const { dataDir, name } = deployment;
  if (purge) {
    refuseForeignFolder(context);
    if (!yes && existsSync(dataDir)) await confirmPurge(context);
  }
  const stopped = await stop(context);
  const purged = purge && existsSync(dataDir);
  if (purged) await deleteData(dataDir);
  const report: DownReport = { name, dataDir, phase: "stopped", stopped, purged };
  output.result(report, downText);
}

/** False when nothing ran. */
async function stop(context: CliContext): Promise<boolean> {
  const { deployment, output, signal } = context;
  const { dataDir, name } = deployment;
  if (!existsSync(deploymentPaths(dataDir).state)) return false;
  const supervised = (await findSupervisor(dataDir)) !== null;
  if (!supervised && (await viewFromFiles(dataDir, name)).phase === "stopped") return false;
  await order(context, async (supervisor) => {
    await supervisor.stop((text) => output.progress(text), signal);
    await untilGone(context, supervisor);
  });
  return true;
}

/** @throws HAError REQUEST_INVALID unless the user says yes */
async function confirmPurge(context: CliContext): Promise<void> {
  const { deployment, stdin } = context;
  const refused = (why: string): HAError =>
    new HAError("REQUEST_INVALID", `nothing was stopped or deleted: ${why}`, {
      dataDir: deployment.dataDir,
      hint: "say `--purge --yes`, or leave --purge out to keep the data",
    });
  if (stdin.isTTY !== true) throw refused("--purge asks, and there is no terminal to ask on");
  context.output.progress(`This deletes ${deployment.dataDir}: every session, run and transcript of it.`);
  context.output.progress(`Type the name of the deployment (${deployment.name}) to go on:`);
  if ((await firstLine(stdin)).trim() !== deployment.name) throw refused("the name was not typed");
}

async function firstLine(stdin: CliContext["stdin"]): Promise<string> {
  let text = "";
  for await (const chunk of stdin) {
    text += Buffer.from(chunk).toString("utf8");
    if (text.includes("\n")) break;
  }
  return text.split("\n")[0] ?? "";
}

/**
 * A data directory was made by us and holds nothing else. One that is named by mistake must not be deleted.
 * @throws HAError REQUEST_INVALID
 */
function refuseForeignFolder({ cwd, deployment, env }: CliContext): void {
  const { dataDir } = deployment;
  if (!existsSync(dataDir)) return;
  const paths = deploymentPaths(dataDir);
  const ours = [paths.state, paths.secrets, paths.lock].some((file) => existsSync(file));
  const precious = [path.parse(dataDir).root, homedir(), env["HOME"] ?? homedir(), cwd];
  const holdsPrecious = precious.some((folder) => !path.relative(dataDir, folder).startsWith(".."));
  if (ours && !holdsPrecious) return;
  throw new HAError(
    "REQUEST_INVALID",
    `${dataDir} is not deleted: it does not look like a deployment's own folder`,
    {
      dataDir,
      hint: "look what is in it, and delete it yourself",
    },
  );
}

/** Under the lock, so that no supervisor starts meanwhile; the lock's own file goes with the rest. */
async function deleteData(dataDir: string): Promise<void> {
  const lock = await tryLock(deploymentPaths(dataDir).lock);
  if (lock === null)
    throw new HAError("TIMEOUT", `${dataDir} is in use again: nothing was deleted`, { dataDir });
  try {
    await rm(dataDir, { recursive: true, force: true, maxRetries: 3 });
  } catch (error) {
    throw notWritable(dataDir, error);
  } finally {
    lock.release();
  }
}

const downText = ({ dataDir, name, purged, stopped }: DownReport): string =>
  [
    stopped ? `${name} is stopped` : `${name} was not running`,
    ...(purged ? [`deleted ${dataDir}`] : []),
  ].join("\n");
