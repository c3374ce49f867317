import type { SessionKey, TenantId, WorkerId } from "../../core/ids.ts";
import { type Lane, LANES, type LaneWidths } from "../../core/lane.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Random } from "../../ports/random.ts";
import type { Delivery, ReadySession, RunQueue } from "../../ports/run-queue.ts";

export interface MemoryRunQueueOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly laneWidths: LaneWidths;
  /** Widths of one tenant where they differ from `laneWidths`. */
  readonly laneWidthsOf?: (tenant: TenantId) => LaneWidths | undefined;
}

/** A session in the queue: in its lane's backlog, ready in the pool, or taken by a worker. */
interface Member {
  readonly tenant: TenantId;
  readonly sessionKey: SessionKey;
  lane: Lane;
  state: "backlog" | "ready" | "taken";
  receipt: string;
  worker: WorkerId | null;
  /** Lane of an enqueue that came while the session was taken. */
  again: Lane | null;
}

interface LaneState {
  /** Members ready or taken. */
  admitted: number;
  readonly backlog: Set<Member>;
}

interface Pool {
  readonly members: Map<string, Member>;
  /** In order of admission. */
  readonly ready: Set<Member>;
  readonly lanes: Map<string, LaneState>;
  readonly workers: Set<WorkerId>;
}

/** The queue of a single process: the rules of RunQueue over maps. Its content lives as long as the object. */
export function memoryRunQueue(options: MemoryRunQueueOptions): RunQueue {
  const { clock, random, laneWidths, laneWidthsOf } = options;
  const pools = new Map<string, Pool>();
  const waiting = new Set<AbortController>();
  const epoch = random.uuid();
  let receipts = 0;
  let rotation = 0;
  let closed = false;

  const poolOf = (name: string): Pool => {
    const known = pools.get(name);
    if (known) return known;
    const pool: Pool = { members: new Map(), ready: new Set(), lanes: new Map(), workers: new Set() };
    pools.set(name, pool);
    return pool;
  };

  const laneOf = (pool: Pool, member: { tenant: TenantId; lane: Lane }): LaneState => {
    const key = `${member.tenant}:${member.lane}`;
    const known = pool.lanes.get(key);
    if (known) return known;
    const lane: LaneState = { admitted: 0, backlog: new Set() };
    pool.lanes.set(key, lane);
    return lane;
  };

  const widthOf = (tenant: TenantId, lane: Lane): number =>
    Math.max(1, (laneWidthsOf?.(tenant) ?? laneWidths)[lane]);

  /** Admits from the front of the backlog while the lane has width left. */
  const promote = (pool: Pool, tenant: TenantId, name: Lane): void => {
    const lane = laneOf(pool, { tenant, lane: name });
    const width = widthOf(tenant, name);
    for (const member of lane.backlog) {
      if (lane.admitted >= width) break;
      lane.backlog.delete(member);
      lane.admitted++;
      member.state = "ready";
      pool.ready.add(member);
    }
    if (lane.admitted === 0) pool.lanes.delete(`${tenant}:${name}`);
  };

  const add = (pool: Pool, session: { tenant: TenantId; sessionKey: SessionKey; lane: Lane }): void => {
    const member: Member = {
      tenant: session.tenant,
      sessionKey: session.sessionKey,
      lane: session.lane,
      state: "backlog",
      receipt: "",
      worker: null,
      again: null,
    };
    pool.members.set(memberKey(session), member);
    laneOf(pool, member).backlog.add(member);
    promote(pool, member.tenant, member.lane);
  };

  const backlogOf = (pool: Pool, tenant: TenantId): number => {
    let count = 0;
    for (const lane of LANES) count += pool.lanes.get(`${tenant}:${lane}`)?.backlog.size ?? 0;
    return count;
  };

  const wake = (): void => {
    for (const waiter of waiting) waiter.abort();
  };

  const takeReady = (worker: WorkerId, names: readonly string[], max: number): Delivery[] => {
    const deliveries: Delivery[] = [];
    // Another pool is asked first each time, so that a busy pool does not keep a worker from the others.
    const offset = names.length > 0 ? rotation++ % names.length : 0;
    for (const name of [...names.slice(offset), ...names.slice(0, offset)]) {
      const pool = poolOf(name);
      pool.workers.add(worker);
      for (const member of pool.ready) {
        if (deliveries.length >= max) return deliveries;
        pool.ready.delete(member);
        member.state = "taken";
        member.worker = worker;
        member.receipt = String(++receipts);
        const { tenant, sessionKey, lane, receipt } = member;
        deliveries.push({ tenant, sessionKey, lane, pool: name, receipt });
      }
    }
    return deliveries;
  };

  return {
    async enqueue(sessions) {
      const added = sessions.map((session) => {
        const pool = poolOf(session.pool);
        const member = pool.members.get(memberKey(session));
        if (!member) add(pool, session);
        else if (member.state === "taken") member.again = session.lane;
        return member === undefined;
      });
      wake();
      return sessions.map((session, i) => ({
        added: added[i] === true,
        backlog: backlogOf(poolOf(session.pool), session.tenant),
      }));
    },

    async take(worker, names, max, waitMs, signal) {
      const deadline = clock.monotonic() + waitMs;
      for (;;) {
        const deliveries = takeReady(worker, names, max);
        const restMs = deadline - clock.monotonic();
        if (deliveries.length > 0 || restMs <= 0 || signal?.aborted || closed) return deliveries;
        const waiter = new AbortController();
        waiting.add(waiter);
        const ends = signal ? AbortSignal.any([waiter.signal, signal]) : waiter.signal;
        await clock.sleep(restMs, ends).finally(() => waiting.delete(waiter));
      }
    },

    async done(_worker, deliveries) {
      for (const delivery of deliveries) {
        const pool = poolOf(delivery.pool);
        const member = pool.members.get(memberKey(delivery));
        if (member?.state !== "taken" || member.receipt !== delivery.receipt) continue;
        pool.members.delete(memberKey(delivery));
        laneOf(pool, member).admitted--;
        promote(pool, member.tenant, member.lane);
        if (member.again !== null) add(pool, { ...delivery, lane: member.again });
      }
      wake();
    },

    async reclaim(worker, names) {
      let count = 0;
      for (const name of names) {
        const pool = poolOf(name);
        pool.workers.delete(worker);
        for (const member of pool.members.values()) {
          if (member.state !== "taken" || member.worker !== worker) continue;
          member.state = "ready";
          member.worker = null;
          member.again = null; // it will be looked at again as it is
          pool.ready.add(member);
          count++;
        }
      }
      if (count > 0) wake();
      return count;
    },

    workers: async (pool) => [...poolOf(pool).workers],

    async depth(name) {
      const depth = { ready: 0, delivered: 0, backlog: 0 };
      for (const { state } of poolOf(name).members.values()) {
        if (state === "ready") depth.ready++;
        else if (state === "taken") depth.delivered++;
        else depth.backlog++;
      }
      return depth;
    },

    epoch: async () => epoch,

    async close() {
      closed = true;
      pools.clear();
      wake();
    },
  };
}

/** Tenant ids hold no space, so no two sessions share a key. */
const memberKey = (session: Pick<ReadySession, "tenant" | "sessionKey">): string =>
  `${session.tenant} ${session.sessionKey}`;
