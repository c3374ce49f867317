import type { Subagent, SubagentRun } from "../../core/subagent.ts";
import { isEnded } from "../../core/run-state.ts";
import { acceptedOrRefused } from "../../ports/accepted-run.ts";
import type { SpawnAnswer, SubagentStore } from "../../ports/subagent-store.ts";
import { acceptOne } from "./ledger-accept.ts";
import { runRecord } from "./runs.ts";
import { findRun, findSession, type MemoryStoreState } from "./state.ts";
import { isOpen, type StoredSubagent } from "./subagents.ts";

/** SubagentStore in memory; give it the state that the ledger has. */
export function memorySubagentStore(state: MemoryStoreState, maxQueuedPerSession = 1_000): SubagentStore {
  const children = state.subagents;
  const find = ({ tenant, runId }: Pick<Subagent, "tenant" | "runId">): StoredSubagent | undefined =>
    children.find(({ child }) => child.tenant === tenant && child.runId === runId);
  const withRun = ({ child }: StoredSubagent): SubagentRun[] => {
    const run = findRun(state, child.tenant, child.runId);
    return run ? [{ child, run: runRecord(run) }] : [];
  };

  return {
    async spawn({ grant, child, accept, maxDepth, maxOpen }): Promise<SpawnAnswer> {
      const parent = findSession(state, grant.tenant, grant.sessionKey);
      if (parent?.lease?.token !== grant.token || parent.lease.run.runId !== grant.runId) {
        return { kind: "fenced" };
      }
      if (parent.lease.run.abortRequested) return { kind: "stopped" };
      const depth = parent.spawnDepth + 1;
      if (find(child) === undefined) {
        if (depth > maxDepth) return { kind: "too-deep", depth };
        const open = children.filter(
          (one) =>
            one.child.tenant === grant.tenant &&
            one.child.requesterKey === grant.sessionKey &&
            isOpen(state, one),
        );
        if (open.length >= maxOpen) return { kind: "too-many" };
      }
      const answer = acceptedOrRefused(acceptOne(state, accept, maxQueuedPerSession));
      if (answer.kind === "refused") return answer;
      if (find(child) === undefined) children.push({ child, announced: false, stop: null });
      const session = findSession(state, child.tenant, child.sessionKey);
      if (session && answer.kind === "new") {
        session.spawnedBy = grant.sessionKey;
        session.spawnDepth = depth;
        session.label ??= child.label;
      }
      return { kind: "spawned", depth, answer };
    },

    ended: async (limit, only) =>
      children
        .filter(({ announced, stop }) => !announced && stop !== "wanted")
        .filter(
          ({ child }) => only === undefined || (child.tenant === only.tenant && child.runId === only.runId),
        )
        .filter(({ child }) => state.tenants.get(child.tenant)?.disabled === false)
        .flatMap((one) => withRun(one).map((found) => ({ ...found, stop: one.stop })))
        .filter(({ run }) => isEnded(run.status))
        .slice(0, limit)
        .map(({ child, run, stop }) => ({
          child,
          run,
          isAwaited: stop === null && findSession(state, child.tenant, child.requesterKey) !== undefined,
        })),

    stopping: async (limit, tenant) =>
      children
        .filter(({ announced, stop }) => !announced && stop === "wanted")
        .map(({ child }) => child)
        .filter((child) => tenant === undefined || child.tenant === tenant)
        .slice(0, limit),

    stopped: async (stopped) => {
      for (const one of stopped) {
        const stored = find(one);
        if (stored?.stop === "wanted") stored.stop = "done";
      }
    },

    announce: async (announcements) =>
      announcements.map(({ child, accept }) => {
        const stored = find(child);
        if (stored === undefined || stored.announced) return { kind: "done" };
        if (accept === null) {
          stored.announced = true;
          return { kind: "dropped" };
        }
        const answer = acceptedOrRefused(acceptOne(state, accept, maxQueuedPerSession));
        if (answer.kind === "refused") return answer;
        stored.announced = true;
        return { kind: "announced", answer };
      }),

    list: async (tenant, { requesterKey, limit }) =>
      children
        .filter(({ child }) => child.tenant === tenant)
        .filter(({ child }) => requesterKey === undefined || child.requesterKey === requesterKey)
        .toReversed()
        .slice(0, limit)
        .flatMap(withRun),
  };
}
