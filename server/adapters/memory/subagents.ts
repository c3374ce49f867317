import type { RunId, SessionKey, TenantId } from "../../core/ids.ts";
import { isEnded } from "../../core/run-state.ts";
import type { Subagent } from "../../core/subagent.ts";
import { findRun, findSession, type MemoryStoreState } from "./state.ts";

export interface StoredSubagent {
  readonly child: Subagent;
  announced: boolean;
  stop: "wanted" | "done" | null;
}

/** A child whose run has not ended. */
export function isOpen(state: MemoryStoreState, { child, announced }: StoredSubagent): boolean {
  const run = findRun(state, child.tenant, child.runId);
  return !announced && run !== undefined && !isEnded(run.status);
}

/** Marks the open subagents below a session, or below those that one run of it has spawned. */
export function stopSubagents(
  state: MemoryStoreState,
  tenant: TenantId,
  key: SessionKey,
  runId: RunId | undefined,
): void {
  const mine = state.subagents.filter(({ child }) => child.tenant === tenant);
  const isBelow = ({ requesterKey, sessionKey }: Pick<Subagent, "requesterKey" | "sessionKey">): boolean => {
    if (requesterKey === key) {
      const top = mine.find(({ child }) => child.sessionKey === sessionKey && child.requesterKey === key);
      return runId === undefined || top?.child.requesterRunId === runId;
    }
    const above = findSession(state, tenant, requesterKey)?.spawnedBy ?? null;
    return above !== null && isBelow({ requesterKey: above, sessionKey: requesterKey });
  };
  for (const one of mine) {
    if (one.stop === null && isOpen(state, one) && isBelow(one.child)) one.stop = "wanted";
  }
}
