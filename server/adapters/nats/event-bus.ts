import type { Msg, NatsConnection } from "@nats-io/transport-node";
import { unpackEvents } from "../../core/event-batch.ts";
import { replayFrom } from "../../core/event-history.ts";
import type { TenantId } from "../../core/ids.ts";
import type { Notice, RunEvent, WorkerSignal } from "../../core/run-event.ts";
import type { EventBus, TenantHandlers } from "../../ports/event-bus.ts";
import { type NatsServerOptions, openNats } from "./connection.ts";
import { type History, openHistory } from "./history.ts";
import { listeners } from "./listeners.ts";
import { packWithin } from "./pack.ts";
import { DEFAULT_PREFIX, subjects } from "./subjects.ts";

export interface NatsEventBusOptions extends NatsServerOptions {
  /** Publications kept of a session; default 2,000. */
  readonly historyEntries?: number;
  /** Age at which events are dropped; default ten minutes. */
  readonly historyMs?: number;
  /** Memory of the server for the history of all sessions; default 256 MiB. */
  readonly historyBytes?: number;
  /** First token of the subjects and name of the stream: letters, digits, `-` and `_`; default `openclaw-ha`. */
  readonly prefix?: string;
}

/** Reading a session's messages in batches (direct get) came with 2.11. */
const HISTORY_SINCE = [2, 11] as const;

/**
 * Events over NATS. With JetStream on a server of 2.11 or newer, a stream in memory keeps the history and decides on
 * tokens and duplicates (history.ts). Older servers, such as Debian's 2.9, and servers without JetStream carry events
 * live only: `capabilities.history` is false and followers read the ledger for what they missed.
 *
 * `capabilities` is known once a connection stands; until then, as while NATS is away, there is no history to ask.
 * `subscribe` does not fail while NATS is away: the subscription stands as one that is cut, and `onGap` follows.
 */
export function natsEventBus(options: NatsEventBusOptions): EventBus {
  const { logger, prefix = DEFAULT_PREFIX } = options;
  const names = subjects(prefix);
  let history: History | null = null;

  const tenants = listeners<TenantHandlers>(logger, (tenant, message) => decode(tenant as TenantId, message));
  const workers = listeners<(signal: WorkerSignal) => void>(logger, (_worker, message) => {
    const signal = message.json<WorkerSignal>();
    return (onSignal) => onSignal(signal);
  });

  const decode = (tenant: TenantId, message: Msg): ((handlers: TenantHandlers) => void) | null => {
    if (message.subject === names.notices(tenant)) {
      const notice = message.json<Notice>();
      return (handlers) => handlers.onNotice(notice);
    }
    const events = unpackEvents(message.string());
    // The subject is the tenant's own; an event of another one there would be a fault of ours or an intruder.
    if (events.every((event) => event.tenant === tenant)) return (handlers) => handlers.onEvents(events);
    logger.error("event-bus.foreign-events", { tenant });
    return null;
  };

  const onTooLarge = (runSeqs: readonly number[]): void =>
    logger.warn("event-bus.event-too-large", { runSeqs });

  /** True once someone has subscribed without a connection: its first one ends a gap. */
  let attachedLate = false;
  const link = openNats(options, async (connection, again) => {
    history = await historyOf(connection);
    tenants.attach(connection);
    workers.attach(connection);
    await connection.flush(); // the server has the subscriptions
    if (again || attachedLate) tenants.each((handlers) => handlers.onGap());
  });

  const historyOf = async (connection: NatsConnection): Promise<History | null> => {
    if (connection.info?.jetstream !== true || !isSince(connection.info.version, HISTORY_SINCE)) return null;
    const { historyEntries = 2_000, historyMs = 600_000, historyBytes = 256 * 1024 * 1024 } = options;
    return openHistory(connection, {
      stream: prefix,
      subjects: names,
      entries: historyEntries,
      ms: historyMs,
      bytes: historyBytes,
      timeoutMs: link.timeoutMs,
      onTooLarge,
    });
  };

  const publishMany: EventBus["publishMany"] = async (batches) => {
    if (batches.every((batch) => batch.length === 0)) return batches.map(() => "published");
    return link.run(async (connection) => {
      const kept = history;
      if (kept !== null) return Promise.all(batches.map((batch) => kept.publish(batch)));
      for (const batch of batches) publishLive(connection, batch);
      await connection.flush();
      return batches.map(() => "published" as const);
    });
  };

  const publishLive = (connection: NatsConnection, batch: readonly RunEvent[]): void => {
    const [first] = batch;
    if (!first || !connection.info) return;
    const { messages, tooLarge } = packWithin(batch, connection.info.max_payload);
    if (tooLarge.length > 0) onTooLarge(tooLarge);
    const subject = names.live(first.tenant, first.sessionKey);
    for (const { text } of messages) connection.publish(subject, text);
  };

  /** Sends one message; resolves when the server has it. */
  const send = (subject: string, message: Notice | WorkerSignal): Promise<void> =>
    link.run((connection) => {
      connection.publish(subject, JSON.stringify(message));
      return connection.flush();
    });

  /** Waits until the server has the subscription; one that is not there will be told of a gap. */
  const established = async (): Promise<void> => {
    try {
      await link.run((connection) => connection.flush());
    } catch {
      attachedLate ||= link.current() === null;
    }
  };

  return {
    get capabilities() {
      return { history: history !== null };
    },

    publishMany,

    async publish(events) {
      const [answer] = await publishMany([events]);
      return answer!;
    },

    async replay(tenant, sessionKey, runId, afterRunSeq) {
      const kept = await link.run(async () => history?.read(tenant, sessionKey, runId) ?? null);
      return kept && replayFrom(kept, afterRunSeq);
    },

    async subscribe(tenant, handlers) {
      const remove = tenants.add(tenant, [names.tenantLive(tenant), names.notices(tenant)], handlers);
      await established();
      return async () => remove();
    },

    notify: (tenant, notice) => send(names.notices(tenant), notice),

    signal: (worker, signal) => send(names.worker(worker), signal),

    async subscribeSignals(worker, onSignal) {
      const remove = workers.add(worker, [names.worker(worker)], onSignal);
      await established();
      return async () => remove();
    },

    healthy: () => link.healthy(),

    close: () => link.close(),
  };
}

/** True when a version such as `2.15.2` is at least the given one. */
function isSince(version: string, [major, minor]: readonly [number, number]): boolean {
  const [itsMajor = 0, itsMinor = 0] = version.split(".").map(Number);
  return itsMajor > major || (itsMajor === major && itsMinor >= minor);
}
