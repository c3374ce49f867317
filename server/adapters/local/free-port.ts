import { randomInt } from "node:crypto";
import { createServer } from "node:net";
import type { AddressInfo, Server } from "node:net";

const HOST = "127.0.0.1";

/**
 * Ports that systems give to nobody by themselves: below the range of outgoing connections (Linux 32768 and up, others
 * 49152 and up) and of Kubernetes' node ports (30000 and up). A store that is restarted on its old port must not find
 * it taken by some client's connection that happened to get that number.
 */
const FIRST = 20_000;
const LAST = 29_999;
const TRIES = 50;

/** A port of 127.0.0.1 that is free now. Another process may take it before it is used: whoever starts must check. */
export async function freePort(): Promise<number> {
  const [port] = await freePorts(1);
  return port!;
}

/** Different ports, all free at the same moment. */
export async function freePorts(count: number): Promise<number[]> {
  const servers: Server[] = [];
  try {
    while (servers.length < count) servers.push(await listenSomewhere());
    return servers.map((server) => (server.address() as AddressInfo).port);
  } finally {
    await Promise.all(servers.map(close));
  }
}

/** True when nothing listens on that port of 127.0.0.1, nor on all addresses. */
export async function isPortFree(port: number): Promise<boolean> {
  const server = await tryListen(port);
  if (server === null) return false;
  await close(server);
  return true;
}

/** Random, so that two processes that look at the same time rarely find the same. */
async function listenSomewhere(): Promise<Server> {
  for (let tried = 0; tried < TRIES; tried++) {
    const server = await tryListen(randomInt(FIRST, LAST + 1));
    if (server !== null) return server;
  }
  return listen(0); // a machine with thousands of listeners: any port that the system gives
}

async function tryListen(port: number): Promise<Server | null> {
  try {
    return await listen(port);
  } catch (error) {
    if (["EADDRINUSE", "EACCES"].includes((error as NodeJS.ErrnoException).code ?? "")) return null;
    throw error;
  }
}

const listen = (port: number): Promise<Server> =>
  new Promise((resolve, reject) => {
    // `exclusive` keeps a cluster's primary out of it: the port is tried by this very process.
    const server = createServer().once("error", reject);
    server.listen({ host: HOST, port, exclusive: true }, () => resolve(server));
  });

const close = (server: Server): Promise<void> => new Promise((resolve) => server.close(() => resolve()));
