import path from "node:path";
import { HAError } from "../../server/core/errors.ts";
import { findSupervisor } from "../../server/supervisor/client.ts";
import type { UpgradeRequest } from "../../server/supervisor/contract.ts";
import type { DeploymentView } from "../../server/supervisor/view.ts";
import { requestOfUp } from "../bring-up.ts";
import type { CliContext } from "../context.ts";
import { loadDeployment } from "../deployment.ts";
import { currentView, order, untilGone } from "../supervisor.ts";
import { findProgram } from "./find-program.ts";

/** What `upgrade --json` prints. */
export interface UpgradeReport {
  /** False: it is a plan. */
  readonly upgraded: boolean;
  readonly from: UpgradeRequest["program"];
  readonly to: UpgradeRequest["program"];
  /** In the order in which they are started anew. */
  readonly instances: readonly string[];
  readonly tookMs: number;
}

/**
 * Brings every instance of a deployment that runs to another checkout of this program, one after the other, under a
 * supervisor of that checkout. Where one does not get well all go back.
 * @throws HAError NOT_RUNNING (69); CONFIG_INVALID (78) for a folder without the program; as the supervisor threw it
 */
export async function upgradeDeployment(
  context: CliContext,
  to: string,
  { planOnly }: { readonly planOnly: boolean },
): Promise<UpgradeReport> {
  const { clock, cwd, output, projectRoot, signal } = context;
  const { state } = await loadDeployment(context.deployment);
  const before = await currentView(context);
  if (before.phase === "stopped") {
    throw new HAError("NOT_RUNNING", `deployment ${JSON.stringify(before.name)} does not run`, {
      hint: "there is nothing to keep up: `openclaw-ha up` starts it on this release",
    });
  }
  const program = findProgram(to === "current" ? projectRoot : path.resolve(cwd, to));
  const { root, version } = state.program ?? findProgram(projectRoot);
  const report = { from: { root, version }, to: program, instances: instancesOf(before) };
  if (planOnly) return { ...report, upgraded: false, tookMs: 0 };
  for (const pool of alone(before)) {
    output.warning(
      `there is one ${pool} only: its work waits while it starts anew (openclaw-ha scale ${pool}=2)`,
    );
  }
  const request: UpgradeRequest = { ...(await requestOfUp(context)), program };
  const startedAt = clock.monotonic();
  await handOver(context);
  const progress = (text: string): void => output.progress(text);
  await order(context, (supervisor) => supervisor.upgrade(request, progress, signal), program.root);
  return { ...report, upgraded: true, tookMs: Math.round(clock.monotonic() - startedAt) };
}

/** The supervisor ends and leaves everything running, for one of the new program to take it over. */
async function handOver(context: CliContext): Promise<void> {
  const supervisor = await findSupervisor(context.deployment.dataDir);
  if (supervisor === null) return;
  context.output.progress(`the supervisor (pid ${supervisor.pid}) hands over`);
  process.kill(supervisor.pid, "SIGTERM");
  await untilGone(context, supervisor);
}

const instancesOf = ({ instances }: DeploymentView): string[] =>
  instances.filter(({ pid }) => pid !== null).map(({ id }) => id);

/** Pools of clients and their work that stand still while their only instance is replaced. */
function alone({ instances }: DeploymentView): string[] {
  const ready = (pool: string): number =>
    instances.filter((one) => one.pool === pool && one.state === "ready").length;
  return ["gateway", "worker"].filter((pool) => ready(pool) === 1);
}
