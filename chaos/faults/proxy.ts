import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import type { Random } from "../../server/ports/random.ts";
import type { Link, LinkStats } from "../targets/target.ts";

type Direction = "requests" | "answers";

/** Bytes of one direction of one connection that wait here before its sender is made to wait. */
const WAITING_MAX_BYTES = 256 * 1024;

/** A TCP proxy on the loopback interface that can make the network fail. Its id names what lies behind it. */
export interface FaultProxy extends Link {
  readonly port: number;
  close(): Promise<void>;
}

interface Conditions {
  latencyMs: number;
  jitterMs: number;
  bytesPerSecond: number | null;
  held: ReadonlySet<Direction>;
  slowCloseMs: number;
}

interface Counters {
  bytes: number;
  held: number;
  resets: number;
  slowCloses: number;
}

const CALM: Readonly<Conditions> = {
  latencyMs: 0,
  jitterMs: 0,
  bytesPerSecond: null,
  held: new Set(),
  slowCloseMs: 0,
};

export interface FaultProxyOptions {
  readonly id: string;
  /** Port of the server on 127.0.0.1. It need not listen yet: connections are then reset, as a dead host's are. */
  readonly target: number;
  /** 0 is any free one. */
  readonly port?: number;
  /** Draws the jitter. */
  readonly random: Random;
}

/** Starts it. Without a fault it only passes bytes on and counts them. */
export async function startFaultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  const { id, random, target } = options;
  const conditions: Conditions = { ...CALM };
  const counters: Counters = { bytes: 0, held: 0, resets: 0, slowCloses: 0 };
  const connections = new Set<Connection>();

  const server = createServer({ allowHalfOpen: true }, (client) => {
    const upstream = connect({ port: target, host: "127.0.0.1", allowHalfOpen: true });
    const connection = joined(client, upstream, { conditions, counters, random });
    connections.add(connection);
    void connection.over.then(() => connections.delete(connection));
  });
  server.listen(options.port ?? 0, "127.0.0.1");
  await once(server, "listening");

  const apply = (change: Partial<Conditions>): void => {
    Object.assign(conditions, change);
    for (const connection of connections) connection.wake();
  };
  return {
    id,
    port: (server.address() as AddressInfo).port,
    stats: (): LinkStats => ({ connections: connections.size, ...counters }),
    latency: (latencyMs, jitterMs) => apply({ latencyMs, jitterMs }),
    rate: (bytesPerSecond) => apply({ bytesPerSecond }),
    blackHole: (direction) =>
      apply({ held: new Set(direction === "both" ? ["requests", "answers"] : [direction]) }),
    slowClose: (slowCloseMs) => apply({ slowCloseMs }),
    reset() {
      for (const connection of connections) {
        counters.resets++;
        connection.reset();
      }
    },
    heal: () => apply(CALM),
    async close() {
      for (const connection of connections) connection.reset();
      server.close();
      await once(server, "close");
    },
  };
}

interface Connection {
  readonly over: Promise<void>;
  /** Conditions have changed. */
  wake(): void;
  reset(): void;
}

interface Surroundings {
  readonly conditions: Readonly<Conditions>;
  readonly counters: Counters;
  readonly random: Random;
}

function joined(client: Socket, upstream: Socket, surroundings: Surroundings): Connection {
  const { promise: over, resolve } = Promise.withResolvers<void>();
  const reset = (): void => {
    client.resetAndDestroy();
    upstream.resetAndDestroy();
    resolve();
  };
  const requests = oneWay("requests", client, upstream, surroundings);
  const answers = oneWay("answers", upstream, client, surroundings);
  let left = 2;
  for (const socket of [client, upstream]) {
    socket.setNoDelay(true);
    // A peer that is not there or has reset: what waits here has nobody to go to.
    socket.on("error", reset);
    socket.on("close", () => {
      if (--left === 0) resolve();
    });
  }
  return {
    over,
    reset,
    wake() {
      requests.wake();
      answers.wake();
    },
  };
}

/** One direction of a connection: what `from` sends reaches `to` in order, when the conditions allow it. */
function oneWay(
  name: Direction,
  from: Socket,
  to: Socket,
  { conditions, counters, random }: Surroundings,
): { wake(): void } {
  const waiting: { readonly bytes: Buffer | null; readonly dueAt: number }[] = [];
  let waitingBytes = 0;
  let lastDueAt = 0;
  let freeAt = 0;
  let timer: NodeJS.Timeout | null = null;

  const troubled = (): boolean =>
    conditions.held.has(name) || conditions.latencyMs > 0 || conditions.bytesPerSecond !== null;

  const wait = (bytes: Buffer | null): void => {
    const now = performance.now();
    let dueAt = now + conditions.latencyMs + random.float() * conditions.jitterMs;
    if (bytes !== null && conditions.bytesPerSecond !== null) {
      freeAt = Math.max(freeAt, now) + (bytes.length / conditions.bytesPerSecond) * 1_000;
      dueAt = Math.max(dueAt, freeAt);
    }
    if (bytes === null && conditions.slowCloseMs > 0) {
      counters.slowCloses++;
      dueAt += conditions.slowCloseMs;
    }
    if (bytes !== null && troubled()) counters.held += bytes.length;
    lastDueAt = Math.max(lastDueAt, dueAt);
    waiting.push({ bytes, dueAt: lastDueAt });
    waitingBytes += bytes?.length ?? 0;
    if (waitingBytes > WAITING_MAX_BYTES) from.pause();
    pass();
  };

  const pass = (): void => {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    if (conditions.held.has(name) || to.destroyed) return;
    // Healed: what waits has waited long enough.
    const calm = !troubled() && conditions.slowCloseMs === 0;
    if (calm) lastDueAt = freeAt = 0;
    for (;;) {
      const next = waiting[0];
      if (next === undefined) break;
      const leftMs = calm ? 0 : next.dueAt - performance.now();
      if (leftMs > 0) {
        timer = setTimeout(pass, leftMs);
        break;
      }
      waiting.shift();
      if (next.bytes === null) {
        to.end();
        continue;
      }
      waitingBytes -= next.bytes.length;
      counters.bytes += next.bytes.length;
      to.write(next.bytes);
    }
    if (waitingBytes <= WAITING_MAX_BYTES && from.isPaused()) from.resume();
  };

  from.on("data", wait);
  from.on("end", () => wait(null));
  to.on("close", () => {
    if (timer !== null) clearTimeout(timer);
    from.destroy();
  });
  return { wake: pass };
}
