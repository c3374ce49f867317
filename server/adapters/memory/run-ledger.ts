import { HAError } from "../../core/errors.ts";
import type { TenantId, WorkerId } from "../../core/ids.ts";
import type { Lane, LaneWidths } from "../../core/lane.ts";
import type { Grant, RunLedger } from "../../ports/run-ledger.ts";
import { acceptOne } from "./ledger-accept.ts";
import { answerOne } from "./ledger-answer.ts";
import { checkpointOne, claimOne, finishOne, grantNext, releaseOne } from "./ledger-grants.ts";
import { ledgerRuns } from "./ledger-runs.ts";
import { activeWorker, ledgerWorkers } from "./ledger-workers.ts";
import { poolOf } from "./runs.ts";
import { findSession, type MemoryStoreState, type StoredWorker } from "./state.ts";

export interface MemoryRunLedgerOptions {
  /** Queued runs of one session above which `accept` refuses. */
  readonly maxQueuedPerSession?: number;
}

/**
 * The ledger in memory, for single-process use and fast tests. It gives every promise of the port but durability:
 * all ends with the process.
 */
export function memoryRunLedger(
  state: MemoryStoreState,
  { maxQueuedPerSession = 1_000 }: MemoryRunLedgerOptions = {},
): RunLedger {
  return {
    accept: async (batch) => batch.map((request) => acceptOne(state, request, maxQueuedPerSession)),
    answer: async (request) => answerOne(state, request),
    claim: async (workerId, sessions) => {
      const worker = claimer(state, workerId);
      return sessions.map(({ tenant, sessionKey }) => {
        const session = findSession(state, tenant, sessionKey);
        return session ? claimOne(state, worker, session) : { kind: "empty" };
      });
    },
    claimReady: async (worker, pools, max, widths) => claimReady(state, worker, pools, max, widths),
    checkpoint: async (batch) => batch.map((request) => checkpointOne(state, request)),
    finish: async (batch) => batch.map((request) => finishOne(state, request)),
    release: async (grants) => grants.flatMap((grant) => releaseOne(state, grant) ?? []),
    ...ledgerWorkers(state),
    ...ledgerRuns(state),
    close: async () => {},
  };
}

/** @throws HAError LEASE_LOST: a lease given to a dead worker would be taken away at once */
function claimer(state: MemoryStoreState, id: WorkerId): StoredWorker {
  const worker = activeWorker(state, id);
  if (worker) return worker;
  throw new HAError("LEASE_LOST", `worker ${id} is not alive: it must register under a new id`, {
    worker: id,
  });
}

function claimReady(
  state: MemoryStoreState,
  workerId: WorkerId,
  pools: readonly string[],
  max: number,
  widths: LaneWidths,
): Grant[] {
  const worker = claimer(state, workerId);
  const room = laneRoom(state, widths);
  const grants: Grant[] = [];
  for (const session of Array.from(state.ready)) {
    if (grants.length >= max) break;
    const lane = session.queue[0]?.lane;
    if (!lane || !pools.includes(poolOf(state, session)) || !room.take(session.tenant, lane)) continue;
    const grant = grantNext(state, worker, session);
    if (grant) grants.push(grant);
  }
  return grants;
}

/** What is left of each tenant's lane widths beside the runs that execute now. */
function laneRoom(state: MemoryStoreState, widths: LaneWidths) {
  const left = new Map<TenantId, Record<Lane, number>>();
  const of = (tenant: TenantId): Record<Lane, number> => {
    const known = left.get(tenant) ?? { ...widths };
    left.set(tenant, known);
    return known;
  };
  for (const worker of state.workers.values()) {
    for (const { tenant, lease } of worker.held) if (lease) of(tenant)[lease.run.lane]--;
  }
  return {
    take: (tenant: TenantId, lane: Lane): boolean => of(tenant)[lane] > 0 && of(tenant)[lane]-- > 0,
  };
}
