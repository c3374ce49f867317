import type { DeploymentView } from "../server/supervisor/view.ts";
import { bringDown } from "./bring-down.ts";
import type { CliContext } from "./context.ts";
import { currentView } from "./supervisor.ts";
import { watch } from "./tui/watch.ts";

/**
 * Shows a ready deployment until Ctrl-C, then stops it. The deployment itself runs as always, so that this process
 * may be killed without harm: the deployment then goes on.
 */
export async function foreground(context: CliContext, ready: DeploymentView): Promise<void> {
  context.output.progress(`${ready.name} is ready: ${ready.gateway?.url ?? ""}`);
  await watch(context, () => currentView(context), "q stop the deployment");
  // The first signal ended the watching; stopping is not to be interrupted by it. A second one ends this process.
  await bringDown(
    { ...context, deployment: context.deployment, signal: new AbortController().signal },
    {
      purge: false,
      yes: false,
    },
  );
}
