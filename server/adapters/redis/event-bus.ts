import { segmentsOf, unpackEvents } from "../../core/event-batch.ts";
import { replayFrom } from "../../core/event-history.ts";
import type { Notice, RunEvent, WorkerSignal } from "../../core/run-event.ts";
import type { EventBus } from "../../ports/event-bus.ts";
import { openRedis, type RedisServerOptions, repliesOf } from "./connection.ts";
import { DEFAULT_PREFIX, redisKeys } from "./keys.ts";
import { callScript } from "./scripts.ts";
import { subscriptions } from "./subscriptions.ts";

export interface RedisEventBusOptions extends RedisServerOptions {
  /** Publications kept of a session, about (Redis trims whole nodes of its stream); default 2,000. */
  readonly historyEntries?: number;
  /** Age at which the history of a quiet session is dropped; default ten minutes. */
  readonly historyMs?: number;
  /** In front of every key and channel; default `openclaw-ha`. */
  readonly prefix?: string;
}

/** What a channel carries: one letter for the kind, then JSON. */
type Message =
  | { readonly kind: "events"; readonly events: readonly RunEvent[] }
  | { readonly kind: "notice"; readonly notice: Notice }
  | { readonly kind: "signal"; readonly signal: WorkerSignal };

/**
 * Events in a capped stream per session and on one channel per tenant; both are written by one script
 * (lua/publish-1.lua), so that what is heard is what is kept. Two connections per process, however many followers.
 *
 * `subscribe` does not fail while Redis is away: the subscription stands as one that is cut, and `onGap` follows.
 */
export function redisEventBus(options: RedisEventBusOptions): EventBus {
  const { historyEntries = 2_000, historyMs = 600_000, logger } = options;
  const keys = redisKeys(options.prefix ?? DEFAULT_PREFIX);
  const commands = openRedis(options, { name: "bus" });
  const channels = subscriptions(options, decode, () => commands.whenReady());

  const publishMany: EventBus["publishMany"] = async (batches) => {
    const filled = batches.filter((batch) => batch.length > 0);
    if (filled.length === 0) return batches.map(() => "published");
    const replies = await commands.run(async (client) => {
      const pipeline = client.pipeline();
      for (const batch of filled) {
        const { tenant, sessionKey } = batch[0]!;
        const args = [keys.tenantChannel(tenant), historyEntries, historyMs, ...segmentArgs(batch)];
        void callScript(pipeline, "publish", [keys.events(tenant, sessionKey)], args);
      }
      return repliesOf(await pipeline.exec());
    });
    const answers = replies.values();
    return batches.map((batch) => (batch.length > 0 && answers.next().value === 0 ? "fenced" : "published"));
  };

  return {
    capabilities: { history: true },

    publishMany,

    async publish(events) {
      const [answer] = await publishMany([events]);
      return answer!;
    },

    async replay(tenant, sessionKey, runId, afterRunSeq) {
      const key = keys.events(tenant, sessionKey);
      const packed = (await commands.run((client) =>
        callScript(client, "replay", [key], [runId, afterRunSeq + 1]),
      )) as string[];
      return replayFrom(packed.toReversed().flatMap(unpackEvents), afterRunSeq);
    },

    subscribe: (tenant, handlers) =>
      channels.listen(keys.tenantChannel(tenant), {
        onMessage(message) {
          if (message.kind === "notice") return handlers.onNotice(message.notice);
          if (message.kind !== "events") return;
          // The channel is the tenant's own; an event of another one there would be a fault of ours or an intruder.
          if (message.events.every((event) => event.tenant === tenant))
            return handlers.onEvents(message.events);
          logger.error("event-bus.foreign-events", { tenant });
        },
        onGap: () => handlers.onGap(),
      }),

    async notify(tenant, notice) {
      const message = `n${JSON.stringify(notice)}`;
      await commands.run((client) => client.publish(keys.tenantChannel(tenant), message));
    },

    async signal(worker, signal) {
      const message = `s${JSON.stringify(signal)}`;
      await commands.run((client) => client.publish(keys.workerChannel(worker), message));
    },

    subscribeSignals: (worker, onSignal) =>
      channels.listen(keys.workerChannel(worker), {
        onMessage(message) {
          if (message.kind === "signal") onSignal(message.signal);
        },
        onGap() {
          // A signal is only a hint: what was missed is found in the ledger at the next checkpoint or heartbeat.
        },
      }),

    healthy: () => commands.healthy() && channels.healthy(),

    async close() {
      channels.close();
      commands.close();
    },
  };
}

/** As ARGV of lua/publish-1.lua wants them. */
const segmentArgs = (batch: readonly RunEvent[]): (string | number)[] =>
  segmentsOf(batch).flatMap(({ token, runId, header, events }) => [
    token,
    runId,
    header,
    events.length,
    ...events.flatMap(({ runSeq, json }) => [runSeq, json]),
  ]);

/** @throws SyntaxError for what is not one of our messages */
function decode(payload: string): Message | null {
  const body = payload.slice(1);
  switch (payload.charAt(0)) {
    case "e":
      return { kind: "events", events: unpackEvents(body) };
    case "n":
      return { kind: "notice", notice: JSON.parse(body) as Notice };
    case "s":
      return { kind: "signal", signal: JSON.parse(body) as WorkerSignal };
    default:
      return null; // of a newer release
  }
}
