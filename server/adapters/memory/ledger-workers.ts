import type { WorkerId } from "../../core/ids.ts";
import { LEASE_TTL_MS } from "../../core/lease.ts";
import { isEnded } from "../../core/run-state.ts";
import type { RunLedger, SweepReport } from "../../ports/run-ledger.ts";
import type { ReadySession } from "../../ports/run-queue.ts";
import { type BuriedRun, dropLease, loseHolder, readySession, requeue, settle } from "./runs.ts";
import type { MemoryStoreState, StoredSession, StoredWorker } from "./state.ts";

/** Idempotency keys are remembered for this long at least. */
const RUN_MEMORY_MS = 30 * 24 * 3_600_000;
/** The ids of ended workers are remembered for this long, so that a paused one learns that it is dead. */
const WORKER_MEMORY_MS = 24 * 3_600_000;

/** The worker, unless it is unknown, was declared dead or has retired. */
export function activeWorker(state: MemoryStoreState, id: WorkerId): StoredWorker | null {
  const worker = state.workers.get(id);
  return worker?.endedAt === null ? worker : null;
}

/** True where the worker's leases may be given away. */
export function isSilent(state: MemoryStoreState, id: WorkerId): boolean {
  const worker = activeWorker(state, id);
  return worker === null || state.now() - worker.heartbeatAt > LEASE_TTL_MS;
}

type WorkerMethods = Pick<
  RunLedger,
  "registerWorker" | "heartbeat" | "retireWorker" | "sweep" | "workers" | "readySessions" | "backlog"
>;

/**
 * Workers and what they leave behind. The state of a worker's lock is not looked at: workers of the memory adapter
 * live in one process, where nothing can see one of them die but its silence.
 */
export function ledgerWorkers(state: MemoryStoreState): WorkerMethods {
  return {
    registerWorker: async ({ worker: id, instance, pools, slots }) => {
      if (state.workers.has(id)) return; // sent again; for one that has ended, its heartbeats say so
      state.workers.set(id, {
        worker: id,
        instance,
        pools: [...pools],
        slots,
        startedAt: state.now(),
        heartbeatAt: state.now(),
        endedAt: null,
        held: new Set(),
      });
    },

    // A worker that was silent past the TTL goes on where nobody noticed: what it holds is still its own.
    heartbeat: async (id) => {
      const worker = activeWorker(state, id);
      if (!worker) return { kind: "dead" };
      worker.heartbeatAt = state.now();
      const aborts = [];
      for (const { tenant, key: sessionKey, lease } of worker.held) {
        if (!lease?.run.abortRequested) continue;
        aborts.push({ tenant, sessionKey, runId: lease.run.runId, token: lease.token });
      }
      return { kind: "alive", aborts };
    },

    retireWorker: async (id) => {
      const worker = activeWorker(state, id);
      if (!worker) return [];
      worker.endedAt = state.now();
      const readied: ReadySession[] = [];
      for (const session of Array.from(worker.held)) {
        const run = session.lease?.run;
        dropLease(state, session);
        if (run) requeue(session, run, "release");
        const ready = settle(state, session);
        if (ready) readied.push(ready);
      }
      return readied;
    },

    sweep: async () => {
      const deadWorkers: SweepReport["deadWorkers"][number][] = [];
      const readied: ReadySession[] = [];
      const buried: BuriedRun[] = [];
      for (const worker of state.workers.values()) {
        if (worker.endedAt === null && isSilent(state, worker.worker)) {
          worker.endedAt = state.now();
          deadWorkers.push({ worker: worker.worker, pools: worker.pools });
        }
        if (worker.endedAt === null) continue;
        if (state.now() - worker.endedAt > WORKER_MEMORY_MS) state.workers.delete(worker.worker);
        for (const session of Array.from(worker.held)) {
          const dead = loseHolder(state, session);
          if (dead) buried.push(dead);
          const ready = settle(state, session);
          if (ready) readied.push(ready);
        }
      }
      forgetOldRuns(state);
      return { deadWorkers, readied, buried };
    },

    readySessions: async (olderThanMs, limit, after) => {
      const last = after ? Number(after.readySince) : 0;
      const page: StoredSession[] = [];
      let more = false;
      for (const session of state.ready) {
        const { no, since } = session.ready ?? { no: 0, since: 0 };
        if (no <= last || state.now() - since < olderThanMs) continue;
        if (page.length === limit) {
          more = true;
          break;
        }
        page.push(session);
      }
      const end = page.at(-1);
      return {
        sessions: page.map((session) => readySession(state, session)),
        next:
          more && end?.ready
            ? { readySince: String(end.ready.no), tenant: end.tenant, sessionKey: end.key }
            : null,
      };
    },

    workers: async () =>
      Array.from(state.workers.values())
        .filter(({ endedAt }) => endedAt === null)
        .map(({ worker, instance, pools, slots, startedAt, heartbeatAt, held }) => ({
          worker,
          instance,
          pools,
          slots,
          running: held.size,
          startedAt,
          heartbeatAt,
        })),

    backlog: async () => {
      let running = 0;
      for (const worker of state.workers.values()) running += worker.held.size;
      const oldest = state.ready.values().next().value?.ready;
      return {
        ready: state.ready.size,
        running,
        oldestReadyMs: oldest ? Math.max(0, state.now() - oldest.since) : 0,
      };
    },
  };
}

/** Runs lie in the order of acceptance, so this touches no more than what it may forget and the first one younger. */
function forgetOldRuns(state: MemoryStoreState): void {
  const before = state.now() - RUN_MEMORY_MS;
  for (const { runs } of state.tenants.values()) {
    for (const run of runs.values()) {
      if (run.acceptedAt >= before) break;
      if (isEnded(run.status) && (run.endedAt ?? 0) < before) runs.delete(run.runId);
    }
  }
}
