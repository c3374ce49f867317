import type { TenantId } from "../core/ids.ts";
import type { AbortAnswer, RunLedger } from "../ports/run-ledger.ts";
import type { SubagentStore } from "../ports/subagent-store.ts";

/** Sessions that are aborted side by side. */
const BATCH = 20;

export interface StopSubagentsDeps {
  readonly ledger: Pick<RunLedger, "abort">;
  readonly subagents: Pick<SubagentStore, "stopping" | "stopped">;
}

/**
 * Aborts the sessions of all subagents that are to be stopped, and of what these have spawned meanwhile. The marks stay
 * until it is done: whoever aborts a run stops those below it at once, and the control process what was left by one
 * that died. `tell` is given the answers of each session.
 * @returns how many subagents were stopped
 * @throws HAError STORE_UNAVAILABLE; what is left is found again
 */
export async function stopSubagents(
  { ledger, subagents }: StopSubagentsDeps,
  tell: (answers: readonly AbortAnswer[]) => void,
  only?: TenantId,
): Promise<number> {
  for (let stopped = 0; ;) {
    const children = await subagents.stopping(BATCH, only);
    if (children.length === 0) return stopped;
    await Promise.all(
      children.map(async ({ tenant, sessionKey }) =>
        tell(await ledger.abort(tenant, { sessionKey, stopSubagents: true })),
      ),
    );
    await subagents.stopped(children);
    stopped += children.length;
  }
}
