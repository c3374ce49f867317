import type { RunId, SessionKey, TenantId, WorkerId } from "../../core/ids.ts";
import { replayFrom } from "../../core/event-history.ts";
import type { RunEvent, WorkerSignal } from "../../core/run-event.ts";
import type { FencingToken } from "../../core/run.ts";
import type { Clock } from "../../ports/clock.ts";
import type { EventBus, TenantHandlers } from "../../ports/event-bus.ts";
import type { Logger } from "../../ports/logger.ts";

export interface MemoryEventBusOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Publications kept of a session; default 2,000. */
  readonly historyEntries?: number;
  /** Age at which the history of a quiet session is dropped; default ten minutes. */
  readonly historyMs?: number;
}

interface SessionHistory {
  /** Newest token that has written. */
  token: FencingToken;
  /** Last runSeq of each run under that token; runs of smaller tokens can write no more. */
  readonly lastSeq: Map<RunId, number>;
  /** Oldest first. */
  readonly entries: RunEvent[][];
  writtenAt: number;
}

/** The bus of a single process. Handlers are called before `publish` resolves. */
export function memoryEventBus(options: MemoryEventBusOptions): EventBus {
  const { clock, logger, historyEntries = 2_000, historyMs = 600_000 } = options;
  /** In order of the last publication, so that what is too old stands in front. */
  const sessions = new Map<string, SessionHistory>();
  const tenants = listeners<TenantId, TenantHandlers>();
  const workers = listeners<WorkerId, (signal: WorkerSignal) => void>();

  const dropOld = (): void => {
    const oldest = clock.monotonic() - historyMs;
    for (const [key, session] of sessions) {
      if (session.writtenAt > oldest) return;
      sessions.delete(key);
    }
  };

  /** A listener that fails must neither stop the others nor fail the publisher. */
  const call = (listener: () => void): void => {
    try {
      listener();
    } catch (error) {
      logger.error("event-bus.listener-failed", { error: String(error) });
    }
  };

  const publish = (events: readonly RunEvent[]): "published" | "fenced" => {
    const [first] = events;
    if (!first) return "published";
    dropOld();
    const key = sessionId(first.tenant, first.sessionKey);
    const session: SessionHistory = sessions.get(key) ?? {
      token: 0,
      lastSeq: new Map(),
      entries: [],
      writtenAt: 0,
    };
    if (events.every((event) => event.token < session.token)) return "fenced";
    const fresh = events.filter((event) => admit(session, event));
    if (fresh.length === 0) return "published";
    session.entries.push(fresh);
    if (session.entries.length > historyEntries) session.entries.shift();
    session.writtenAt = clock.monotonic();
    sessions.delete(key);
    sessions.set(key, session);
    for (const handlers of tenants.of(first.tenant)) call(() => handlers.onEvents(fresh));
    return "published";
  };

  return {
    capabilities: { history: true },

    publish: async (events) => publish(events),

    publishMany: async (batches) => batches.map(publish),

    async replay(tenant, sessionKey, runId, afterRunSeq) {
      dropOld();
      const entries = sessions.get(sessionId(tenant, sessionKey))?.entries ?? [];
      const kept = entries.flat().filter((event) => event.runId === runId);
      return replayFrom(kept, afterRunSeq);
    },

    subscribe: async (tenant, handlers) => tenants.add(tenant, handlers),

    async notify(tenant, notice) {
      for (const handlers of tenants.of(tenant)) call(() => handlers.onNotice(notice));
    },

    async signal(worker, signal) {
      for (const onSignal of workers.of(worker)) call(() => onSignal(signal));
    },

    subscribeSignals: async (worker, onSignal) => workers.add(worker, onSignal),

    healthy: () => true,

    async close() {
      sessions.clear();
      tenants.clear();
      workers.clear();
    },
  };
}

/** Decides on one event and remembers it: false for one of an older grant and for one that is kept already. */
function admit(session: SessionHistory, event: RunEvent): boolean {
  if (event.token < session.token) return false;
  if (event.token > session.token) {
    session.token = event.token;
    session.lastSeq.clear();
  }
  if (event.runSeq <= (session.lastSeq.get(event.runId) ?? 0)) return false;
  session.lastSeq.set(event.runId, event.runSeq);
  return true;
}

/** Listeners by key. Each `add` is a subscription of its own, even of the same listener twice. */
function listeners<Key, Listener>() {
  const byKey = new Map<Key, Map<symbol, Listener>>();
  return {
    of: (key: Key): Listener[] => [...(byKey.get(key)?.values() ?? [])],
    /** Answers what ends the subscription. */
    add: (key: Key, listener: Listener): (() => Promise<void>) => {
      const mine = Symbol("subscription");
      byKey.set(key, (byKey.get(key) ?? new Map<symbol, Listener>()).set(mine, listener));
      return async () => {
        const set = byKey.get(key);
        if (set?.delete(mine) && set.size === 0) byKey.delete(key);
      };
    },
    clear: (): void => byKey.clear(),
  };
}

/** Tenant ids hold no space, so no two sessions share a name. */
const sessionId = (tenant: TenantId, key: SessionKey): string => `${tenant} ${key}`;
