import { HAError, isHAError } from "../../server/core/errors.ts";
import type { RunId, TenantId } from "../../server/core/ids.ts";
import type { RunRecord } from "../../server/core/run.ts";
import type { DeploymentPorts } from "../ports.ts";
import { unknownRun } from "./cancel-run.ts";

/**
 * Queues an ended run once more, under its own id.
 * @throws HAError NOT_FOUND; REQUEST_CONFLICT for a run that is open, was answered or was aborted
 */
export async function redriveRun(
  { ledger, queue }: Pick<DeploymentPorts, "ledger" | "queue">,
  { tenant, runId }: { readonly tenant: TenantId; readonly runId: RunId },
): Promise<RunRecord> {
  try {
    const answer = await ledger.redrive(tenant, runId);
    if (answer === null) throw unknownRun(runId);
    // Only a wake-up: where it fails, the sweep finds the session.
    if (answer.ready) await queue.enqueue([answer.ready]).catch(() => {});
    return answer.run;
  } catch (error) {
    if (!isHAError(error, "TRANSITION_INVALID")) throw error;
    const status = (await ledger.get(tenant, runId))?.status;
    throw new HAError(
      "REQUEST_CONFLICT",
      `run ${runId} is ${status ?? "not ended"}: only failed, timed_out and dead runs can be redriven`,
      { runId, status },
      { cause: error },
    );
  }
}
