import type { RunId, TenantId } from "../../server/core/ids.ts";
import type { RunEvent } from "../../server/core/run-event.ts";
import type { RunRecord } from "../../server/core/run.ts";
import type { RecordedStep } from "../../server/ports/run-ledger.ts";
import type { DeploymentPorts } from "../ports.ts";

/** A run with what is known of its work. */
export interface SeenRun {
  readonly run: RunRecord;
  readonly steps: readonly RecordedStep[];
  /** Null where the bus does not keep them any more, or does not answer. */
  readonly events: readonly RunEvent[] | null;
}

/**
 * Reads a run, its steps and its events behind `afterRunSeq`; null where there is no such run. Without the bus there are no events, and the
 * rest is told all the same.
 * @throws HAError STORE_UNAVAILABLE
 */
export async function readRun(
  { bus, ledger }: Pick<DeploymentPorts, "bus" | "ledger">,
  tenant: TenantId,
  runId: RunId,
  afterRunSeq = 0,
): Promise<SeenRun | null> {
  const [run, steps] = await Promise.all([ledger.get(tenant, runId), ledger.steps(tenant, runId)]);
  if (run === null) return null;
  const events = await bus.replay(tenant, run.sessionKey, runId, afterRunSeq).catch(() => null);
  return { run, steps, events };
}
