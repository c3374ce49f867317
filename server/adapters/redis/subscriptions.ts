import type { Logger } from "../../ports/logger.ts";
import { openRedis, type RedisServerOptions } from "./connection.ts";

export interface ChannelListener<Message> {
  onMessage(message: Message): void;
  /** The subscription was cut and is back. */
  onGap(): void;
}

/** Channels of one subscriber connection, counted: the first listener subscribes, the last one unsubscribes. */
export interface Subscriptions<Message> {
  /**
   * Resolves when every later message will be heard. While Redis is away it resolves all the same, as a subscription
   * that is cut: `onGap` tells when it stands.
   */
  listen(channel: string, listener: ChannelListener<Message>): Promise<() => Promise<void>>;
  /** False while the connection is down or a subscription is not back yet. */
  healthy(): boolean;
  close(): void;
}

interface Channel<Message> {
  readonly listeners: Map<symbol, ChannelListener<Message>>;
  state: "asked" | "live" | "cut";
  /** The first SUBSCRIBE; never rejects. */
  asked: Promise<void>;
}

/**
 * @param decode one message for all of its listeners; null when it is not for them
 * @param readable resolves when what was missed can be read: a gap is told then, and not before
 */
export function subscriptions<Message>(
  options: RedisServerOptions,
  decode: (payload: string) => Message | null,
  readable: () => Promise<void>,
): Subscriptions<Message> {
  const connection = openRedis(options, { name: "bus-subscriber" });
  const { client } = connection;
  const logger: Logger = options.logger;
  const channels = new Map<string, Channel<Message>>();

  /** A listener that fails must not stop the others. */
  const call = (listener: () => void): void => {
    try {
      listener();
    } catch (error) {
      logger.error("event-bus.listener-failed", { error: String(error) });
    }
  };

  client.on("message", (name, payload) => {
    const channel = channels.get(name);
    if (!channel) return;
    let message: Message | null = null;
    call(() => void (message = decode(payload)));
    if (message === null) return;
    for (const listener of channel.listeners.values()) call(() => listener.onMessage(message!));
  });

  client.on("close", () => {
    for (const channel of channels.values()) if (channel.state === "live") channel.state = "cut";
  });

  connection.onReady(() => {
    const cut = [...channels].filter(([, channel]) => channel.state === "cut");
    if (cut.length > 0) void restore(cut);
  });

  const restore = async (cut: [string, Channel<Message>][]): Promise<void> => {
    if (!(await subscribe(cut.map(([name]) => name)))) return;
    for (const [, channel] of cut) channel.state = "live";
    await readable();
    for (const [, channel] of cut) {
      for (const listener of channel.listeners.values()) call(() => listener.onGap());
    }
  };

  /** True once Redis has confirmed. A connection that is up and does not confirm is replaced. */
  const subscribe = async (names: string[]): Promise<boolean> => {
    try {
      await connection.run((redis) => redis.subscribe(...names));
      return true;
    } catch {
      if (client.status === "ready") client.disconnect(true);
      return false;
    }
  };

  const openChannel = (name: string): Channel<Message> => {
    const channel: Channel<Message> = { listeners: new Map(), state: "asked", asked: Promise.resolve() };
    channels.set(name, channel);
    channel.asked = subscribe([name]).then((done) => void (channel.state = done ? "live" : "cut"));
    return channel;
  };

  return {
    async listen(name, listener) {
      const channel = channels.get(name) ?? openChannel(name);
      const mine = Symbol("subscription");
      channel.listeners.set(mine, listener);
      await channel.asked;
      return async () => {
        if (!channel.listeners.delete(mine) || channel.listeners.size > 0) return;
        if (channels.get(name) !== channel) return;
        channels.delete(name);
        // What still comes has no listener; a connection that is down has forgotten the channel.
        await connection.run((redis) => redis.unsubscribe(name)).catch(() => undefined);
      };
    },
    healthy: () => connection.healthy() && [...channels.values()].every(({ state }) => state !== "cut"),
    close() {
      channels.clear();
      connection.close();
    },
  };
}
