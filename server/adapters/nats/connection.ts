import { connect, type NatsConnection } from "@nats-io/transport-node";
import { HAError } from "../../core/errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Logger } from "../../ports/logger.ts";
import { backoffMs, type Random } from "../../ports/random.ts";

export interface NatsServerOptions {
  /** `nats://[user:password@]host:port`, or `tls://`; several separated by commas. */
  readonly url: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: Random;
  /** Longest wait for an answer in milliseconds; default 1,000. */
  readonly commandTimeoutMs?: number;
}

/** The connection of a process. It fails fast: while NATS is away nothing waits for it, and nothing is buffered. */
export interface NatsLink {
  readonly timeoutMs: number;
  /**
   * Uses the connection.
   * @throws HAError STORE_UNAVAILABLE at once while it is down, else when the work fails or takes too long
   */
  run<T>(work: (connection: NatsConnection) => Promise<T>): Promise<T>;
  /** The connection once there has been one, up or not: subscriptions on it come back by themselves. */
  current(): NatsConnection | null;
  healthy(): boolean;
  close(): Promise<void>;
}

const RECONNECT_MIN_MS = 50;
const RECONNECT_MAX_MS = 2_000;
/** A server that does not answer two pings in a row is taken for dead. */
const PING_EVERY_MS = 1_000;

/**
 * Connects and stays connected; NATS may come later.
 * @param onUp called when the connection stands, before anyone may use it: at first, and after each reconnect
 */
export function openNats(
  options: NatsServerOptions,
  onUp: (connection: NatsConnection, again: boolean) => Promise<void>,
): NatsLink {
  const { clock, random, commandTimeoutMs: timeoutMs = 1_000 } = options;
  const logger = options.logger.child({ store: "nats" });
  const closing = new AbortController();
  let connection: NatsConnection | null = null;
  let up = false;
  let attempts = 0;
  let lastError = "not connected";

  const reconnectDelayMs = (): number =>
    RECONNECT_MIN_MS + backoffMs(random, attempts++, RECONNECT_MIN_MS, RECONNECT_MAX_MS - RECONNECT_MIN_MS);

  const down = (error: string): void => {
    lastError = error;
    if (up) logger.warn("nats.disconnected", { error });
    up = false;
  };

  const nowUp = async (current: NatsConnection, again: boolean): Promise<void> => {
    try {
      await within(timeoutMs, onUp(current, again));
      up = true;
      attempts = 0;
      logger.info("nats.connected", { version: current.info?.version });
    } catch (error) {
      lastError = messageOf(error);
      // Connected, but not usable: try again as if it were away.
      await clock.sleep(reconnectDelayMs(), closing.signal);
      if (!closing.signal.aborted && !current.isClosed()) await current.reconnect().catch(() => undefined);
    }
  };

  const watch = async (current: NatsConnection): Promise<void> => {
    for await (const status of current.status()) {
      if (status.type === "disconnect") down("disconnected");
      else if (status.type === "staleConnection") down("no answer to pings");
      else if (status.type === "error") lastError = status.error.message;
      else if (status.type === "reconnect") void nowUp(current, true);
    }
  };

  const connectFirst = async (): Promise<void> => {
    while (!closing.signal.aborted && connection === null) {
      try {
        connection = await connect({
          ...serversOf(options.url),
          name: "openclaw-ha",
          timeout: timeoutMs,
          pingInterval: PING_EVERY_MS,
          maxPingOut: 2,
          maxReconnectAttempts: -1,
          reconnectDelayHandler: reconnectDelayMs,
          ignoreAuthErrorAbort: true,
          noAsyncTraces: true,
        });
      } catch (error) {
        lastError = messageOf(error);
        await clock.sleep(reconnectDelayMs(), closing.signal);
        continue;
      }
      if (closing.signal.aborted) return connection.close();
      void watch(connection);
      await nowUp(connection, false);
    }
  };
  // A process that has just started may use the bus before the connection stands: its first calls wait for it.
  let starting: Promise<unknown> | undefined = Promise.race([
    connectFirst(),
    clock.sleep(timeoutMs, closing.signal),
  ]).finally(() => (starting = undefined));

  return {
    timeoutMs,
    async run(work) {
      if (starting !== undefined) await starting;
      if (!up || connection === null) throw unavailable(lastError);
      try {
        return await within(timeoutMs, work(connection));
      } catch (error) {
        throw error instanceof HAError ? error : unavailable(messageOf(error));
      }
    },
    current: () => connection,
    healthy: () => up,
    async close() {
      closing.abort();
      up = false;
      await connection?.close();
    },
  };
}

const unavailable = (reason: string): HAError =>
  new HAError("STORE_UNAVAILABLE", `NATS: ${reason}`, { store: "nats" });

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** @throws Error after the time; the work itself goes on unheeded */
async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The client wants user and password apart from the addresses. */
function serversOf(url: string): { servers: string[]; user?: string; pass?: string; token?: string } {
  const urls = url.split(",").map((one) => new URL(one.trim()));
  const servers = urls.map(({ protocol, host }) => `${protocol}//${host}`);
  const { username, password } = urls[0]!;
  if (username === "") return { servers };
  if (password === "") return { servers, token: decodeURIComponent(username) };
  return { servers, user: decodeURIComponent(username), pass: decodeURIComponent(password) };
}
