import { HAError } from "../../server/core/errors.ts";
import type { RunId, TenantId } from "../../server/core/ids.ts";
import type { RunRecord } from "../../server/core/run.ts";
import { runSeqOf } from "../../server/core/run-event.ts";
import { isEnded } from "../../server/core/run-state.ts";
import type { Clock } from "../../server/ports/clock.ts";
import type { DeploymentPorts } from "../ports.ts";

/** A worker that lives ends a run within a moment of the signal; its next heartbeat is the fallback. */
const PATIENCE_MS = 5_000;
const POLL_MS = 50;

export interface CancelReport {
  readonly run: RunRecord;
  /** `ended`: it had ended before; `requested`: the mark is set, the worker has not come to it yet. */
  readonly outcome: "aborted" | "requested" | "ended";
}

/**
 * Ends a run: the durable mark first, then a signal to its worker, which is only faster. Waits a little for the run to
 * have ended.
 * @throws HAError NOT_FOUND, STORE_UNAVAILABLE
 */
export async function cancelRun(
  { ledger, bus }: Pick<DeploymentPorts, "ledger" | "bus">,
  { tenant, runId }: { readonly tenant: TenantId; readonly runId: RunId },
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<CancelReport> {
  const [answer] = await ledger.abort(tenant, { runId, stopSubagents: true });
  if (answer === undefined || answer.kind === "unknown") throw unknownRun(runId);
  const { run } = answer;
  if (answer.kind === "ended") return { run, outcome: "ended" };
  const { sessionKey, agentId } = run;
  if (answer.kind === "aborted") {
    const body = { type: "aborted", text: "", reason: "rpc" } as const;
    const runSeq = runSeqOf(run.attempt + 1, 1);
    // Followers that miss it read the same from the ledger.
    await bus
      .publish([{ tenant, sessionKey, agentId, runId, token: answer.token, runSeq, at: clock.now(), body }])
      .catch(() => {});
    return { run, outcome: "aborted" };
  }
  await bus.signal(answer.worker, { type: "abort", tenant, sessionKey, runId }).catch(() => {});
  const deadline = clock.monotonic() + PATIENCE_MS;
  let latest: RunRecord = run;
  while (!isEnded(latest.status) && clock.monotonic() < deadline && !signal.aborted) {
    await clock.sleep(POLL_MS, signal);
    latest = (await ledger.get(tenant, runId)) ?? latest;
  }
  if (latest.status === "aborted") return { run: latest, outcome: "aborted" };
  return { run: latest, outcome: isEnded(latest.status) ? "ended" : "requested" };
}

export const unknownRun = (runId: string): HAError =>
  new HAError("NOT_FOUND", `there is no run ${runId}`, { runId, hint: "openclaw-ha runs list" });
