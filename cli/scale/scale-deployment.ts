import { HAError } from "../../server/core/errors.ts";
import { SCALED_POOLS } from "../../server/core/scaling.ts";
import type { ScaleRequest } from "../../server/supervisor/contract.ts";
import type { DesiredTopology } from "../../server/supervisor/deployment.ts";
import { scaledTopology, sizeOf } from "../../server/supervisor/scaling.ts";
import type { DeploymentView, ScalingView } from "../../server/supervisor/view.ts";
import type { CliContext } from "../context.ts";
import { loadDeployment } from "../deployment.ts";
import { currentView, order } from "../supervisor.ts";

/** One thing that becomes different. */
export interface ScaleChange {
  /** `worker`: its size; `worker.max`: that field of its policy. */
  readonly what: string;
  readonly from: number | boolean;
  readonly to: number | boolean;
}

export interface ScaleReport {
  /** False: it is a plan, or there is nothing to change. */
  readonly applied: boolean;
  readonly changes: readonly ScaleChange[];
  /** As `status` tells it, after the change. */
  readonly scaling: ScalingView;
}

/**
 * Changes sizes of a deployment that runs, and how they are decided. Instances that an operator has drained come back.
 * @throws HAError NOT_RUNNING (69); REQUEST_INVALID (2) for limits that cannot be kept; as the supervisor threw it
 */
export async function scaleDeployment(
  context: CliContext,
  request: ScaleRequest,
  { planOnly }: { readonly planOnly: boolean },
): Promise<ScaleReport> {
  const { output, signal } = context;
  const { state } = await loadDeployment(context.deployment);
  const before = await currentView(context);
  if (state.desired === null || before.scaling === undefined || before.phase === "stopped") {
    throw new HAError("NOT_RUNNING", `deployment ${JSON.stringify(before.name)} does not run`, {
      hint: "start it with `openclaw-ha up`",
    });
  }
  const changes = changesOf(state.desired, scaledTopology(state.desired, request));
  if (planOnly) return { applied: false, changes, scaling: before.scaling };
  const progress = (text: string): void => output.progress(text);
  const after: DeploymentView = await order(context, (supervisor) =>
    supervisor.scale(request, progress, signal),
  );
  return { applied: true, changes, scaling: after.scaling ?? before.scaling };
}

function changesOf(before: DesiredTopology, after: DesiredTopology): ScaleChange[] {
  const changes: ScaleChange[] = [];
  const compare = (what: string, from: number | boolean, to: number | boolean): void => {
    if (from !== to) changes.push({ what, from, to });
  };
  for (const pool of SCALED_POOLS) {
    compare(pool, sizeOf(before, pool), sizeOf(after, pool));
    const [from, to] = [before.scaling[pool], after.scaling[pool]];
    for (const field of Object.keys(from) as (keyof typeof from)[]) {
      compare(`${pool}.${field}`, from[field], to[field]);
    }
  }
  return changes;
}
