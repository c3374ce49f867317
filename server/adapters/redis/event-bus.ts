import { segmentsOf, unpackEvents } from "../../core/event-batch.ts";
import { replayFrom } from "../../core/event-history.ts";
import type { SessionKey, TenantId } from "../../core/ids.ts";
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

/** Sessions in one call of the script, and about the characters: a call keeps Redis busy for a millisecond or two. */
const SESSIONS_PER_CALL = 64;
const CHARS_PER_CALL = 256 * 1024;

/** What a channel carries: one letter for the kind, then JSON; events of several sessions, one to a line. */
type Message =
  | { readonly kind: "events"; readonly events: readonly RunEvent[] }
  | { readonly kind: "notice"; readonly notice: Notice }
  | { readonly kind: "signal"; readonly signal: WorkerSignal };

/**
 * Events in a capped stream per session and on one channel per tenant; both are written by one script
 * (lua/publish-n.lua), so that what is heard is what is kept. Two connections per process, however many followers.
 *
 * `subscribe` does not fail while Redis is away: the subscription stands as one that is cut, and `onGap` follows.
 */
export function redisEventBus(options: RedisEventBusOptions): EventBus {
  const { historyEntries = 2_000, historyMs = 600_000, logger } = options;
  const keys = redisKeys(options.prefix ?? DEFAULT_PREFIX);
  const commands = openRedis(options, { name: "bus" });
  const channels = subscriptions(options, decode, () => commands.whenReady());

  /** Sessions in one call of the script; 1 once Redis has said that their keys live in different places. */
  let sessionsPerCall = SESSIONS_PER_CALL;

  const send = async (batches: readonly Publication[]): Promise<unknown[]> => {
    const calls = callsOf(batches, sessionsPerCall);
    const replies = await commands.run(async (client) => {
      const pipeline = client.pipeline();
      for (const { tenant, publications } of calls) {
        const histories = publications.map(({ sessionKey }) => keys.events(tenant, sessionKey));
        const args = publications.flatMap(({ segments }) => [segments.length, ...segments]);
        const head = [keys.tenantChannel(tenant), historyEntries, historyMs];
        void callScript(pipeline, "publish", histories, [...head, ...args]);
      }
      return repliesOf(await pipeline.exec());
    });
    return replies.flat();
  };

  const publishMany: EventBus["publishMany"] = async (batches) => {
    const filled = batches.filter((batch) => batch.length > 0).map(publicationOf);
    if (filled.length === 0) return batches.map(() => "published");
    const replies = await send(filled).catch((error: unknown) => {
      if (sessionsPerCall === 1 || !isCrossSlot(error)) throw error;
      sessionsPerCall = 1; // a cluster; the other calls of the pipeline know again what they have published
      return send(filled);
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

/** What one session has to say, as lua/publish-n.lua wants it. */
interface Publication {
  readonly tenant: TenantId;
  readonly sessionKey: SessionKey;
  readonly segments: readonly (string | number)[];
  /** About its size. */
  readonly chars: number;
}

function publicationOf(batch: readonly RunEvent[]): Publication {
  const { tenant, sessionKey } = batch[0]!;
  const segments: (string | number)[] = [];
  let chars = 0;
  for (const { token, runId, header, events } of segmentsOf(batch)) {
    segments.push(token, runId, header, events.length);
    for (const { runSeq, json } of events) {
      segments.push(runSeq, json);
      chars += json.length;
    }
  }
  return { tenant, sessionKey, segments, chars };
}

interface Call {
  readonly tenant: TenantId;
  readonly publications: Publication[];
  chars: number;
}

/** Neighbours of one tenant share a call; the order stays. */
function callsOf(publications: readonly Publication[], sessionsPerCall: number): Call[] {
  const calls: Call[] = [];
  for (const publication of publications) {
    const { tenant, chars } = publication;
    const last = calls.at(-1);
    if (
      last?.tenant === tenant &&
      last.publications.length < sessionsPerCall &&
      last.chars < CHARS_PER_CALL
    ) {
      last.publications.push(publication);
      last.chars += chars;
    } else calls.push({ tenant, publications: [publication], chars });
  }
  return calls;
}

/** The keys of one call live on different nodes of a cluster; nothing of the call was executed. */
const isCrossSlot = (error: unknown): boolean =>
  error instanceof Error && error.message.includes("CROSSSLOT");

/** @throws SyntaxError for what is not one of our messages */
function decode(payload: string): Message | null {
  const body = payload.slice(1);
  switch (payload.charAt(0)) {
    case "e":
      return { kind: "events", events: body.split("\n").flatMap(unpackEvents) };
    case "n":
      return { kind: "notice", notice: JSON.parse(body) as Notice };
    case "s":
      return { kind: "signal", signal: JSON.parse(body) as WorkerSignal };
    default:
      return null; // of a newer release
  }
}
