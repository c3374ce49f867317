import type { Socket } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { type WebSocket, WebSocketServer } from "ws";
import { serveParent } from "./child-program.ts";

/** What the bare server is asked: to listen, then to tell all its sockets something. */
export type BroadcastRequest =
  | { readonly do: "listen"; readonly port: number }
  | {
      readonly do: "broadcast";
      /** Payloads of one batch, told again in each. */
      readonly payloads: readonly unknown[];
      readonly batches: number;
      /** True: what goes to a socket in one batch leaves in one write, which ws does not do by itself. */
      readonly corked: boolean;
    };

export interface BroadcastAnswer {
  /** Events times sockets. */
  readonly delivered: number;
  readonly cpuSeconds: number;
}

const sockets = new Map<WebSocket, Socket>();

/** Waiting output of a socket above which the next batch waits for its reader. */
const WAITING_MAX_BYTES = 1_024 * 1_024;

/** The broadcast of ws' own documentation: an event is encoded once and sent to every client. */
async function broadcast(request: Extract<BroadcastRequest, { do: "broadcast" }>): Promise<BroadcastAnswer> {
  let delivered = 0;
  const before = process.cpuUsage();
  for (let batch = 0; batch < request.batches; batch++) {
    if (request.corked) for (const tcp of sockets.values()) tcp.cork();
    for (const payload of request.payloads) {
      const text = JSON.stringify({ type: "event", event: "none", payload, seq: batch });
      for (const socket of sockets.keys()) socket.send(text);
      delivered += sockets.size;
    }
    if (request.corked) for (const tcp of sockets.values()) tcp.uncork();
    do await wait(1);
    while ([...sockets.keys()].some(({ bufferedAmount }) => bufferedAmount > WAITING_MAX_BYTES));
  }
  const { user, system } = process.cpuUsage(before);
  return { delivered, cpuSeconds: (user + system) / 1_000_000 };
}

serveParent(async (request: BroadcastRequest): Promise<BroadcastAnswer | null> => {
  if (request.do === "broadcast") return broadcast(request);
  const server = new WebSocketServer({ host: "127.0.0.1", port: request.port, perMessageDeflate: false });
  server.on("connection", (socket, { socket: tcp }) => {
    sockets.set(socket, tcp);
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise((resolve) => server.once("listening", resolve));
  return null;
});
