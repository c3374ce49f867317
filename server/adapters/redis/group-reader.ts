import { setTimeout as sleep } from "node:timers/promises";
import type { WorkerId } from "../../core/ids.ts";
import { openRedis, type RedisConnection, type RedisServerOptions, repliesOf } from "./connection.ts";

/** Consumer group of every pool's stream. */
export const GROUP = "workers";

export interface StreamEntry {
  readonly stream: string;
  readonly id: string;
  /** Names and values in turn. */
  readonly fields: readonly string[];
}

/** Reads streams for consumers of the group; what it has read stays pending until it is acknowledged. */
export interface GroupReader {
  /**
   * New entries, at most `count` of each stream, after waiting at most `waitMs` for the first. An abort of the signal
   * ends the wait; what was delivered up to then is answered.
   * @throws ReplyError NOGROUP where a stream or its group is missing
   */
  read(
    consumer: WorkerId,
    streams: readonly string[],
    count: number,
    waitMs: number,
    signal?: AbortSignal,
  ): Promise<StreamEntry[]>;
  /** Entries that were delivered to the consumer, are not acknowledged and pass the filter. */
  pending(consumer: WorkerId, stream: string, wanted: (id: string) => boolean): Promise<StreamEntry[]>;
  close(): void;
}

/** Longest single wait in Redis: what a reader without CLIENT UNBLOCK takes to notice an abort. */
export const BLOCK_MAX_MS = 1_000;
/** An UNBLOCK may arrive before the command that it is meant for, so it is repeated. */
const UNBLOCK_EVERY_MS = 20;
const PENDING_PAGE = 500;

/** @param commands connection for what does not block */
export function groupReader(options: RedisServerOptions, commands: RedisConnection): GroupReader {
  /** A blocking command occupies its connection, so each reader that waits has one of its own. */
  const idle: RedisConnection[] = [];
  const open = new Set<RedisConnection>();
  const clientIds = new Map<RedisConnection, Promise<number>>();

  const acquire = (): RedisConnection => {
    const free = idle.pop();
    if (free) return free;
    const connection = openRedis(options, { name: "queue-reader", blocksMs: BLOCK_MAX_MS });
    connection.onReady(() => clientIds.delete(connection));
    open.add(connection);
    return connection;
  };

  const clientIdOf = (connection: RedisConnection): Promise<number> => {
    const known = clientIds.get(connection);
    if (known) return known;
    const asked = connection.run((client) => client.client("ID"));
    clientIds.set(connection, asked);
    return asked.catch((error: unknown) => {
      clientIds.delete(connection);
      throw error;
    });
  };

  /** Sends UNBLOCK until the read has ended. Where it fails, the read ends with its own time. */
  const unblock = async (clientId: number, read: { ended: boolean }): Promise<void> => {
    try {
      while (!read.ended) {
        await commands.run((client) => client.client("UNBLOCK", clientId));
        await sleep(UNBLOCK_EVERY_MS);
      }
    } catch {
      // Redis is away, and the read fails by itself; or UNBLOCK is not permitted, and it ends within BLOCK_MAX_MS.
    }
  };

  return {
    async read(consumer, streams, count, waitMs, signal) {
      const connection = acquire();
      const reading = { ended: false };
      const blockMs = Math.min(BLOCK_MAX_MS, Math.ceil(waitMs));
      let onAbort: (() => void) | undefined;
      try {
        if (signal && blockMs > 0) {
          const clientId = await clientIdOf(connection);
          if (signal.aborted) return [];
          onAbort = () => void unblock(clientId, reading);
          signal.addEventListener("abort", onAbort, { once: true });
        }
        const block = blockMs > 0 ? ["BLOCK", blockMs] : []; // BLOCK 0 would mean: for ever
        const ids = streams.map(() => ">");
        const args = ["GROUP", GROUP, consumer, "COUNT", count, ...block, "STREAMS", ...streams, ...ids];
        return entriesOf(await connection.run((client) => client.call("XREADGROUP", ...args)));
      } finally {
        reading.ended = true;
        if (onAbort) signal?.removeEventListener("abort", onAbort);
        idle.push(connection);
      }
    },

    async pending(consumer, stream, wanted) {
      const ids: string[] = [];
      let from = "-";
      for (;;) {
        const page = (await commands.run((client) =>
          client.xpending(stream, GROUP, from, "+", PENDING_PAGE, consumer),
        )) as [id: string, consumer: string, idleMs: number, deliveries: number][];
        ids.push(...page.map(([id]) => id).filter(wanted));
        const last = page.at(-1);
        if (!last || page.length < PENDING_PAGE) break;
        from = `(${last[0]}`;
      }
      if (ids.length === 0) return [];
      const replies = await commands.run(async (client) => {
        const pipeline = client.pipeline();
        for (const id of ids) pipeline.xrange(stream, id, id);
        return repliesOf(await pipeline.exec());
      });
      return replies.flatMap((reply) => entriesOf([[stream, reply]]));
    },

    close() {
      for (const connection of open) connection.close();
    },
  };
}

/** The reply of XREADGROUP: null, or per stream its entries. An entry that was deleted while pending has no fields. */
function entriesOf(reply: unknown): StreamEntry[] {
  const streams = (reply ?? []) as [stream: string, entries: [id: string, fields: string[] | null][]][];
  return streams.flatMap(([stream, entries]) =>
    entries.flatMap(([id, fields]) => (fields === null ? [] : [{ stream, id, fields }])),
  );
}
