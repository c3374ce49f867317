import { isHAError } from "../../server/core/errors.ts";
import { findSupervisor } from "../../server/supervisor/client.ts";
import { viewFromFiles } from "../../server/supervisor/files-view.ts";
import type { DeploymentView } from "../../server/supervisor/view.ts";
import type { DeploymentRef } from "../context.ts";

/** A deployment as its supervisor sees it, or, without one, as its files and processes show it. */
export async function lookAtDeployment({
  dataDir,
  name,
}: DeploymentRef): Promise<{ view: DeploymentView; supervised: boolean }> {
  const supervisor = await findSupervisor(dataDir);
  try {
    if (supervisor !== null) return { view: await supervisor.view(), supervised: true };
  } catch (error) {
    // It ended between the two calls, or hangs.
    if (!isHAError(error, "NOT_RUNNING") && !isHAError(error, "TIMEOUT")) throw error;
  }
  return { view: await viewFromFiles(dataDir, name), supervised: false };
}
