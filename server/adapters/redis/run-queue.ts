import type { SessionKey, TenantId, WorkerId } from "../../core/ids.ts";
import type { Lane, LaneWidths } from "../../core/lane.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Delivery, EnqueueAnswer, RunQueue } from "../../ports/run-queue.ts";
import { openRedis, type RedisServerOptions, repliesOf } from "./connection.ts";
import { GROUP, groupReader, type StreamEntry } from "./group-reader.ts";
import { DEFAULT_PREFIX, redisKeys } from "./keys.ts";
import { callScript, type ScriptName } from "./scripts.ts";

export interface RedisRunQueueOptions extends RedisServerOptions {
  readonly clock: Clock;
  readonly laneWidths: LaneWidths;
  /** Widths of one tenant where they differ from `laneWidths`. */
  readonly laneWidthsOf?: (tenant: TenantId) => LaneWidths | undefined;
  /** In front of every key; default `openclaw-ha`. */
  readonly prefix?: string;
}

/** Sessions in one call of a script: keeps the time that Redis is busy with it to a few milliseconds. */
const SCRIPT_BATCH = 500;
/** How often a taker looks for entries that Redis has given to it in a reply that never arrived. */
const RESCUE_EVERY_MS = 5_000;

/**
 * The queue of a pool in one Redis stream, read by a consumer group; see lua/pool.lua for its keys.
 *
 * Redis holds no truth: it may be flushed or restarted empty at any moment. Then receipts are unknown and change
 * nothing, the epoch is another one, and the sweep adds the ready sessions again.
 * A batch costs one round trip per pool, `take` one for all of its pools.
 */
export function redisRunQueue(options: RedisRunQueueOptions): RunQueue {
  const { clock, random, laneWidths, laneWidthsOf } = options;
  const keys = redisKeys(options.prefix ?? DEFAULT_PREFIX);
  const commands = openRedis(options, { name: "queue" });
  const reader = groupReader(options, commands);
  const takers = new Map<WorkerId, Taker>();
  let rotation = 0;
  let closed = false;

  const widthsOf = (tenant: TenantId): string => JSON.stringify(laneWidthsOf?.(tenant) ?? laneWidths);

  /** Calls a script once per pool and slice of the items, all in one round trip; replies with the items' places. */
  const callByPool = async <Item extends { readonly pool: string }>(
    script: ScriptName,
    items: readonly Item[],
    argsOf: (slice: readonly Item[]) => string[],
  ): Promise<{ places: readonly number[]; reply: unknown }[]> => {
    const slices = slicesByPool(items);
    if (slices.length === 0) return [];
    const replies = await commands.run(async (client) => {
      const pipeline = client.pipeline();
      for (const { pool, places } of slices) {
        void callScript(pipeline, script, keys.pool(pool), argsOf(places.map((place) => items[place]!)));
      }
      return repliesOf(await pipeline.exec());
    });
    return slices.map(({ places }, i) => ({ places, reply: replies[i] }));
  };

  const open = (pools: readonly string[]): Promise<string[]> =>
    commands.run((client) =>
      Promise.all(
        pools.map(async (pool) => String(await callScript(client, "open", keys.pool(pool), [random.uuid()]))),
      ),
    );

  const takerOf = (worker: WorkerId): Taker => {
    const known = takers.get(worker);
    if (known) return known;
    const taker: Taker = { held: new Set(), rescueAt: 0 };
    takers.set(worker, taker);
    return taker;
  };

  /** Remembers what the worker holds from now on; leaves out what it holds already. */
  const deliver = (taker: Taker, pools: readonly string[], entries: readonly StreamEntry[]): Delivery[] => {
    const poolOf = new Map(pools.map((pool) => [keys.pool(pool)[0], pool]));
    return entries.flatMap(({ stream, id, fields }) => {
      const holding = `${stream} ${id}`;
      if (taker.held.has(holding)) return [];
      taker.held.add(holding);
      // Written by lua/pool.lua alone: t, tenant, s, session key, l, lane.
      const tenant = fields[1] as TenantId;
      const sessionKey = fields[3] as SessionKey;
      const lane = fields[5] as Lane;
      return [{ tenant, sessionKey, lane, pool: poolOf.get(stream)!, receipt: id }];
    });
  };

  /**
   * Entries that are pending for the worker though no reply has brought them: the connection was cut in between, or
   * `done` failed. Nobody else would ever look at them, since the worker is alive.
   */
  const rescue = async (
    worker: WorkerId,
    taker: Taker,
    pools: readonly string[],
    max: number,
  ): Promise<Delivery[]> => {
    if (clock.monotonic() < taker.rescueAt) return [];
    const found = await Promise.all(
      pools.map((pool) => {
        const stream = keys.pool(pool)[0];
        return reader.pending(worker, stream, (id) => !taker.held.has(`${stream} ${id}`));
      }),
    );
    const entries = found.flat();
    if (entries.length <= max) taker.rescueAt = clock.monotonic() + RESCUE_EVERY_MS;
    return deliver(taker, pools, entries.slice(0, max));
  };

  /** What new entries there are, or the first to come within `waitMs`. */
  const read = async (
    worker: WorkerId,
    taker: Taker,
    pools: readonly string[],
    max: number,
    waitMs: number,
    signal: AbortSignal | undefined,
  ): Promise<Delivery[]> => {
    // COUNT counts per stream. With more pools than free slots another part of them is asked each time.
    const asked = pools.length <= max ? pools : rotated(pools, rotation++).slice(0, max);
    const count = Math.floor(max / asked.length);
    const streams = asked.map((pool) => keys.pool(pool)[0]);
    return deliver(taker, asked, await reader.read(worker, streams, count, waitMs, signal));
  };

  return {
    async enqueue(sessions) {
      const answers: EnqueueAnswer[] = [];
      const calls = await callByPool("enqueue", sessions, (slice) => [
        random.uuid(),
        ...slice.flatMap(({ tenant, sessionKey, lane }) => [tenant, sessionKey, lane, widthsOf(tenant)]),
      ]);
      for (const { places, reply } of calls) {
        const flat = reply as number[];
        for (const [i, place] of places.entries()) {
          answers[place] = { added: flat[2 * i] === 1, backlog: flat[2 * i + 1] ?? 0 };
        }
      }
      return answers;
    },

    async take(worker, pools, max, waitMs, signal) {
      if (pools.length === 0 || max <= 0) return [];
      const taker = takerOf(worker);
      const deadline = clock.monotonic() + waitMs;
      let opened = 0;
      try {
        for (;;) {
          if (signal?.aborted === true || closed) return [];
          const restMs = Math.max(0, deadline - clock.monotonic());
          try {
            const lost = await rescue(worker, taker, pools, max);
            if (lost.length > 0) return lost;
            const deliveries = await read(worker, taker, pools, max, restMs, signal);
            if (deliveries.length > 0 || restMs === 0) return deliveries;
          } catch (error) {
            // New, flushed, or flushed again just now; a queue that cannot be opened is not there.
            if (!isMissingGroup(error) || opened++ > 3) throw error;
            await open(pools);
          }
        }
      } catch (error) {
        taker.rescueAt = 0; // the reply that was lost may have had entries in it
        if (closed) return [];
        throw error;
      }
    },

    async done(worker, deliveries) {
      try {
        await callByPool("done", deliveries, (slice) =>
          slice.flatMap(({ tenant, sessionKey, receipt }) => [tenant, sessionKey, receipt, widthsOf(tenant)]),
        );
      } finally {
        // Where the call has failed, the entries are pending still, and the worker will be given them again.
        const held = takers.get(worker)?.held;
        for (const { pool, receipt } of deliveries) held?.delete(`${keys.pool(pool)[0]} ${receipt}`);
      }
    },

    async reclaim(worker, pools) {
      let count = 0;
      for (const pool of pools) {
        for (let more = true; more;) {
          const [moved, rest] = (await commands.run((client) =>
            callScript(client, "reclaim", keys.pool(pool), [worker, SCRIPT_BATCH]),
          )) as [number, number];
          count += moved;
          more = rest === 1;
        }
      }
      takers.delete(worker);
      return count;
    },

    workers: (pool) =>
      commands.run(async (client) => {
        const [stream] = keys.pool(pool);
        const consumers = await client.xinfo("CONSUMERS", stream, GROUP).catch((error: unknown) => {
          if (isMissingGroup(error)) return [];
          throw error;
        });
        // Each is a flat list of names and values, beginning with "name".
        return (consumers as string[][]).map(
          (consumer) => consumer[consumer.indexOf("name") + 1] as WorkerId,
        );
      }),

    async depth(pool) {
      const reply = await commands.run((client) => callScript(client, "depth", keys.pool(pool), []));
      const [ready, delivered, backlog] = reply as [number, number, number];
      return { ready, delivered, backlog };
    },

    /**
     * A random name in the keys, and the server's run id: a restart from an old dump, and a failover to a replica
     * that lagged, have lost something though the keys are there.
     */
    async epoch(pool) {
      const [name] = await open([pool]);
      const info = await commands.run((client) => client.info("server"));
      return `${name}.${/^run_id:(\S+)/mu.exec(info)?.[1] ?? ""}`;
    },

    async close() {
      closed = true;
      reader.close();
      commands.close();
    },
  };
}

/** What one worker of this process has taken. */
interface Taker {
  /** `<stream> <entry id>` of deliveries that are not done. */
  readonly held: Set<string>;
  /** Monotonic time of the next look for lost entries. */
  rescueAt: number;
}

/** Places of the items, by pool and at most SCRIPT_BATCH together. */
function slicesByPool(items: readonly { readonly pool: string }[]): { pool: string; places: number[] }[] {
  const filling = new Map<string, number[]>();
  const slices: { pool: string; places: number[] }[] = [];
  for (const [place, { pool }] of items.entries()) {
    const places = filling.get(pool);
    if (places && places.length < SCRIPT_BATCH) {
      places.push(place);
      continue;
    }
    const next = [place];
    filling.set(pool, next);
    slices.push({ pool, places: next });
  }
  return slices;
}

const rotated = <T>(items: readonly T[], by: number): T[] => {
  const offset = by % items.length;
  return [...items.slice(offset), ...items.slice(0, offset)];
};

/** NOGROUP; or, from XINFO of a stream that is not there, "no such key". */
const isMissingGroup = (error: unknown): boolean => {
  const message = error instanceof Error ? error.message : "";
  return message.includes("NOGROUP") || message.includes("no such key") || message.includes("UNBLOCKED");
};
