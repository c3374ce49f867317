import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { setTimeout as wait } from "node:timers/promises";
import { expect, it, onTestFinished } from "vitest";
import { gatewayPool, handWorker } from "../testing/gateway-pool.ts";
import { connectSocket, type SocketClient } from "../testing/socket-client.ts";
import { until } from "../testing/until.ts";
import type { GatewaySettings } from "./context.ts";
import { startGateway } from "./main.ts";

const MIB = 1_024 * 1_024;
/** More than the kernel keeps for a socket of which nothing is read. */
const BEYOND_KERNEL_BYTES = 8 * MIB;

const setup = async (limits: GatewaySettings["limits"] = {}) => {
  const pool = await gatewayPool();
  const gateway = await startGateway(pool.deps({ limits }));
  onTestFinished(() => gateway.close());
  const connect = async (): Promise<SocketClient> => {
    const client = await connectSocket(gateway.url);
    onTestFinished(() => client.terminate());
    return client;
  };
  /** Clients that are connected and read nothing more. */
  const stuck = async (count: number): Promise<SocketClient[]> => {
    const clients = await Promise.all(Array.from({ length: count }, connect));
    for (const client of clients) client.pause();
    return clients;
  };
  const reader = await connect();
  const hand = await handWorker(pool);
  const start = async (key: string) => {
    await reader.ok("chat.send", { sessionKey: key, message: "hello", idempotencyKey: key });
    const run = await hand.claim(`agent:main:${key}`);
    await run.say({ type: "started", text: "" });
    return run;
  };
  return { pool, gateway, reader, stuck, start };
};

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;
/** What this process, and so the gateway in it, holds: the JavaScript heap and the buffers outside of it. */
const heldBytes = (): number => {
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
};

it("a socket that stops reading loses pieces of texts but hears every end, and every number once", async () => {
  const { reader, stuck, start } = await setup();
  const [slow] = (await stuck(1)) as [SocketClient];
  const piece = "x".repeat(64 * 1_024);
  const ends: string[] = [];
  for (let told = 0; told < 2 * BEYOND_KERNEL_BYTES;) {
    const key = `k${ends.push(`k${ends.length}`) - 1}`;
    const run = await start(key);
    for (let i = 0; i < 8; i++) {
      await run.say({ type: "delta", text: piece });
      told += 2 * (i + 1) * piece.length;
    }
    await run.finish(piece.repeat(8));
    await reader.end(key);
  }
  slow.resume();
  for (const key of ends) {
    const end = await slow.end(key);
    expect(end["message"]).toMatchObject({ content: [{ text: piece.repeat(8) }] });
  }
  expect(slow.chats(ends.at(-1)!, "delta").length).toBeLessThan(reader.chats(ends.at(-1)!, "delta").length);
  const seqs = slow.frames.flatMap(({ seq }) => (seq === undefined ? [] : [seq]));
  expect(seqs).toEqual(seqs.map((_, i) => i + 1));
});

it("what a gateway holds does not grow with what it has to tell to sockets that read nothing", async () => {
  const { reader, stuck, start } = await setup();
  const clients = await stuck(20);
  const run = await start("k1");
  const text = "x".repeat(256 * 1_024);
  const piece = "y".repeat(4 * 1_024);
  await run.say({ type: "delta", text });
  const before = heldBytes();
  for (let n = 1; n <= 60; n++) {
    await run.say({ type: "delta", text: piece });
    await until(() => reader.chats("k1", "delta").length > 0, { what: `piece ${n}` });
    reader.frames.length = 0;
  }
  // 30 MiB were told to each of them; every MiB that each keeps would be 20.
  expect(heldBytes() - before).toBeLessThan(32 * MIB);
  await run.finish("the end");
  for (const client of clients) {
    client.resume();
    expect(await client.end("k1")).toMatchObject({ state: "final" });
  }
});

it("a gateway with too many answers that nobody reads closes those sockets, and serves the others", async () => {
  const waitingBytes = 4 * MIB;
  const { pool, reader, stuck } = await setup({ waitingBytes });
  for (let i = 0; i < 50; i++) {
    await pool.sessions.port.create("acme" as never, {
      key: `agent:main:s${i}` as never,
      agentId: "main" as never,
      sessionId: `${i}`,
      createdVia: "test",
      label: `${i}`.padEnd(500, "l"),
    });
  }
  const clients = await stuck(4);
  const before = heldBytes();
  let size = 0;
  for (let askedBytes = 0; askedBytes < 2 * BEYOND_KERNEL_BYTES; askedBytes += 10 * size) {
    for (const client of clients.filter(({ isOpen }) => isOpen)) {
      for (let i = 0; i < 10; i++) client.send("sessions.list", { limit: 50 });
    }
    size = JSON.stringify(await reader.ok("sessions.list", { limit: 50 })).length;
  }
  // Each of them may leave 8 MiB unread, were it alone.
  expect(heldBytes() - before).toBeLessThan(3 * waitingBytes);
  for (const client of clients) client.resume();
  const endings = await Promise.all(clients.map((client) => Promise.race([client.closed, wait(500, null)])));
  const codes = endings.flatMap((ending) => ending?.code ?? []);
  expect(codes.length).toBeGreaterThan(0);
  for (const code of codes) expect([1006, 1008]).toContain(code);
  expect((await reader.request("health")).ok).toBe(true);
});
