import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { seededRandom } from "../../server/testing/seeded-random.ts";
import { until } from "../../server/testing/until.ts";
import { type FaultProxy, startFaultProxy } from "./proxy.ts";

/** Answers every byte with the same byte. */
let server: Server;
let proxy: FaultProxy;
const accepted: Socket[] = [];
const clients: Socket[] = [];

beforeEach(async () => {
  server = createServer((socket) => {
    accepted.push(socket);
    socket.on("error", () => {});
    socket.pipe(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const target = (server.address() as AddressInfo).port;
  proxy = await startFaultProxy({ id: "echo", target, random: seededRandom(1) });
});
afterEach(async () => {
  for (const socket of [...clients.splice(0), ...accepted.splice(0)]) socket.destroy();
  await proxy.close();
  server.close();
});

async function client(): Promise<{ readonly socket: Socket; readonly heard: () => string }> {
  let heard = "";
  const socket = connect(proxy.port, "127.0.0.1");
  clients.push(socket);
  socket.setEncoding("utf8").on("data", (text: string) => (heard += text));
  socket.on("error", () => {});
  await once(socket, "connect");
  return { socket, heard: () => heard };
}

const echo = async (text: string): Promise<number> => {
  const { heard, socket } = await client();
  const startedAt = performance.now();
  socket.write(text);
  await until(() => heard() === text, { pollMs: 2 });
  return performance.now() - startedAt;
};

describe("a fault proxy", () => {
  it("passes everything on and counts it while nothing is wrong", async () => {
    await echo("x".repeat(1_000_000));
    expect(proxy.stats()).toMatchObject({ bytes: 2_000_000, held: 0, resets: 0 });
  });

  it("delays both ways, and keeps the order with jitter", async () => {
    proxy.latency(60, 30);
    const { heard, socket } = await client();
    const startedAt = performance.now();
    for (const letter of "abcdefgh") {
      socket.write(letter);
      await sleep(3);
    }
    await until(() => heard().length === 8, { pollMs: 2 });
    expect(performance.now() - startedAt).toBeGreaterThan(120);
    expect(heard()).toBe("abcdefgh");
    expect(proxy.stats().held).toBe(16);
  });

  it("limits the rate", async () => {
    proxy.rate(20_000);
    expect(await echo("x".repeat(5_000))).toBeGreaterThan(250);
  });

  it("holds back one direction, and lets it through afterwards", async () => {
    const { heard, socket } = await client();
    socket.write("a");
    await until(() => heard() === "a");
    proxy.blackHole("answers");
    socket.write("b");
    await until(() => proxy.stats().held === 1);
    await sleep(50);
    expect(heard()).toBe("a");
    proxy.heal();
    await until(() => heard() === "ab");
  });

  it("lets go at once what waits when it is healed", async () => {
    const { heard, socket } = await client();
    proxy.latency(60_000, 0);
    socket.write("a");
    await until(() => proxy.stats().held === 1);
    proxy.heal();
    await until(() => heard() === "a");
    expect(proxy.stats().held).toBe(1);
  });

  it("resets what is open, and takes new connections", async () => {
    const { socket } = await client();
    const broken = once(socket, "close").catch((error: NodeJS.ErrnoException) => error.code);
    await until(() => accepted.length === 1);
    proxy.reset();
    expect(await broken).toBe("ECONNRESET");
    expect(proxy.stats().resets).toBe(1);
    await echo("again");
  });

  it("tells of a close only after a while", async () => {
    const { heard, socket } = await client();
    socket.write("a");
    await until(() => heard() === "a");
    proxy.slowClose(300);
    const startedAt = performance.now();
    accepted[0]?.end();
    await once(socket, "end");
    expect(performance.now() - startedAt).toBeGreaterThan(250);
    expect(proxy.stats().slowCloses).toBe(1);
  });

  it("closes at once when one side does and nothing is wrong", async () => {
    const { socket } = await client();
    await until(() => accepted.length === 1);
    const gone = once(accepted[0] as Socket, "close");
    socket.destroy();
    await gone;
    await until(() => proxy.stats().connections === 0);
    expect(proxy.stats()).toMatchObject({ resets: 0, slowCloses: 0 });
  });

  it("resets connections to a server that is not there", async () => {
    server.close();
    for (const socket of accepted) socket.destroy();
    const nowhere = await startFaultProxy({ id: "nowhere", target: 1, random: seededRandom(1) });
    const socket = connect(nowhere.port, "127.0.0.1");
    const [error] = (await once(socket, "error").catch((thrown: unknown) => [thrown])) as [
      NodeJS.ErrnoException,
    ];
    expect(error.code).toBe("ECONNRESET");
    await nowhere.close();
  });
});
