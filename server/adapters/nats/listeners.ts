import type { Msg, NatsConnection, Subscription } from "@nats-io/transport-node";
import type { Logger } from "../../ports/logger.ts";

/** One group of subjects, and who hears them. */
interface Channel<Listener> {
  readonly listeners: Map<symbol, Listener>;
  readonly subjects: readonly string[];
  subscriptions: Subscription[];
}

/** Subscriptions by name, counted: the first listener subscribes, the last one unsubscribes. */
export interface Listeners<Listener> {
  add(name: string, subjects: readonly string[], listener: Listener): () => void;
  /** Subscribes what was asked for before there was a connection. */
  attach(connection: NatsConnection): void;
  /** Calls every listener; one that throws is logged. */
  each(call: (listener: Listener) => void): void;
}

/** @param onMessage decodes a message, once, and answers what to tell each of its listeners; null: nothing */
export function listeners<Listener>(
  logger: Logger,
  onMessage: (name: string, message: Msg) => ((listener: Listener) => void) | null,
): Listeners<Listener> {
  const channels = new Map<string, Channel<Listener>>();
  let connection: NatsConnection | null = null;

  const tell = (channel: Channel<Listener>, call: (listener: Listener) => void): void => {
    for (const listener of channel.listeners.values()) guarded(() => call(listener));
  };

  const guarded = (work: () => void): void => {
    try {
      work();
    } catch (error) {
      logger.error("event-bus.listener-failed", { error: String(error) });
    }
  };

  const subscribe = (name: string, channel: Channel<Listener>): void => {
    if (connection === null || connection.isClosed()) return;
    const callback = (error: Error | null, message: Msg): void => {
      if (error !== null) return;
      guarded(() => {
        const call = onMessage(name, message);
        if (call !== null) tell(channel, call);
      });
    };
    channel.subscriptions = channel.subjects.map((subject) => connection!.subscribe(subject, { callback }));
  };

  return {
    add(name, subjects, listener) {
      let channel = channels.get(name);
      if (!channel) {
        channel = { listeners: new Map(), subjects, subscriptions: [] };
        channels.set(name, channel);
        subscribe(name, channel);
      }
      const mine = Symbol("subscription");
      const joined = channel;
      joined.listeners.set(mine, listener);
      return () => {
        if (!joined.listeners.delete(mine) || joined.listeners.size > 0) return;
        for (const subscription of joined.subscriptions) subscription.unsubscribe();
        if (channels.get(name) === joined) channels.delete(name);
      };
    },
    attach(opened) {
      connection = opened;
      for (const [name, channel] of channels)
        if (channel.subscriptions.length === 0) subscribe(name, channel);
    },
    each(call) {
      for (const channel of channels.values()) tell(channel, call);
    },
  };
}
