import { Redis, type RedisOptions } from "ioredis";
import { HAError } from "../../core/errors.ts";
import type { Logger } from "../../ports/logger.ts";
import { backoffMs, type Random } from "../../ports/random.ts";
import { loadScripts } from "./scripts.ts";

export interface RedisServerOptions {
  /** `redis://[user:password@]host:port/db`, or `rediss://` for TLS. Redis 6.2 or newer, or Valkey. */
  readonly url: string;
  readonly logger: Logger;
  readonly random: Random;
  /** Longest wait for an answer in milliseconds; default 1,000. */
  readonly commandTimeoutMs?: number;
}

export interface ConnectionRole {
  /** For logs and CLIENT LIST: `queue`, `queue-reader`, `bus`, `bus-subscriber`. */
  readonly name: string;
  /** Longest time that a command of this connection blocks on purpose; default 0. */
  readonly blocksMs?: number;
}

/** One connection that fails fast: while Redis is away nothing waits for it. */
export interface RedisConnection {
  /**
   * Runs commands on the connection.
   * @throws HAError STORE_UNAVAILABLE at once while it is down, else within the command timeout
   */
  run<T>(work: (client: Redis) => Promise<T>): Promise<T>;
  /** False while the connection is down, or Redis does not answer on it. */
  healthy(): boolean;
  /** Calls back each time the connection is ready for commands: at first, and after each reconnect. */
  onReady(callback: () => void): void;
  /** Resolves when the connection is ready for commands, at once if it is. */
  whenReady(): Promise<void>;
  /** For subscriptions, whose messages are events of the client. */
  readonly client: Redis;
  /** Ends the connection; commands under way fail. */
  close(): void;
}

const RECONNECT_MIN_MS = 50;
const RECONNECT_MAX_MS = 2_000;
const PING_EVERY_MS = 1_000;

/** Opens a connection and keeps it open. It is usable at once; Redis may come later. */
export function openRedis(options: RedisServerOptions, role: ConnectionRole): RedisConnection {
  const { url, random, commandTimeoutMs = 1_000 } = options;
  const { name, blocksMs = 0 } = role;
  const logger = options.logger.child({ store: "redis", connection: name });
  const settings: RedisOptions = {
    connectionName: `openclaw-ha:${name}`,
    scripts: loadScripts(),
    protocol: 2, // understood by every server and proxy, with the same replies
    disableClientInfo: true,
    // Nothing is queued or sent again behind the callers' backs: they are told at once and decide themselves.
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    maxRetriesPerRequest: 0,
    commandTimeout: blocksMs + commandTimeoutMs,
    connectTimeout: commandTimeoutMs,
    // A peer that is gone without a FIN would otherwise be believed until TCP gives up, after minutes.
    socketTimeout: blocksMs + 2 * commandTimeoutMs,
    retryStrategy: (attempt) =>
      RECONNECT_MIN_MS + backoffMs(random, attempt, RECONNECT_MIN_MS, RECONNECT_MAX_MS - RECONNECT_MIN_MS),
    // After a failover the old primary may still answer, as a replica.
    reconnectOnError: (error) => error.message.startsWith("READONLY"),
  };
  const client = new Redis(url, settings);
  let answering = true;
  let lastError = "";
  let up: boolean | undefined;

  const changed = (now: boolean): void => {
    if (up === now) return;
    up = now;
    if (now) logger.info("redis.connected");
    else logger.warn("redis.disconnected", { error: lastError });
  };
  client.on("error", (error) => {
    lastError = error.message; // logged when the connection changes, not at each attempt
  });
  client.on("ready", () => {
    answering = true;
    changed(true);
  });
  client.on("close", () => changed(false));

  // A process that has just started may use the connection before it stands: its first commands wait for the first
  // attempt to end, later ones for nothing.
  let firstAttempt: Promise<void> | undefined = new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, commandTimeoutMs);
    const end = (): void => {
      clearTimeout(timer);
      resolve();
    };
    client.once("ready", end);
    client.once("close", end);
  }).then(() => void (firstAttempt = undefined));

  // An idle connection learns only so that nobody answers any more. One that blocks has its own time limit.
  const pings =
    blocksMs > 0
      ? undefined
      : setInterval(() => {
          if (client.status !== "ready") return;
          client.ping().then(
            () => void (answering = true),
            () => void (answering = false),
          );
        }, PING_EVERY_MS).unref();

  return {
    client,
    async run(work) {
      if (firstAttempt !== undefined) await firstAttempt;
      try {
        return await work(client);
      } catch (error) {
        throw asUnavailable(error, lastError);
      }
    },
    healthy: () => client.status === "ready" && answering,
    whenReady: () =>
      client.status === "ready"
        ? Promise.resolve()
        : new Promise((resolve) => void client.once("ready", () => resolve())),
    onReady: (callback) => void client.on("ready", callback),
    close() {
      clearInterval(pings);
      client.disconnect();
    },
  };
}

/**
 * Whatever Redis refuses (loading, read-only, out of memory, wrong password) means the same to the callers: it is
 * not there, and they go on without it. The driver's error is not kept, since it carries the command's arguments.
 */
function asUnavailable(error: unknown, lastError: string): HAError {
  if (error instanceof HAError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const detail = message.includes("enableOfflineQueue") ? lastError || "not connected" : message;
  return new HAError("STORE_UNAVAILABLE", `Redis: ${detail}`, { store: "redis" });
}

/**
 * The replies of a pipeline.
 * @throws the first error among them
 */
export function repliesOf(results: [error: Error | null, reply: unknown][] | null): unknown[] {
  return (results ?? []).map(([error, reply]) => {
    if (error) throw error;
    return reply;
  });
}
