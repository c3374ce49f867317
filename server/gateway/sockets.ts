import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { type RawData, type ServerOptions, WebSocket, WebSocketServer } from "ws";
import { Connection } from "./connection.ts";
import type { GatewayContext } from "./context.ts";
import type { Wire } from "./outbox.ts";
import { PROBE_TEXT } from "./protocol/text-frame.ts";

/** How long a peer may take to end a closing handshake. */
const CLOSING_MS = 5_000;
/** Bytes of WebSocket framing and control frames that a client may send before `connect`, beside its one frame. */
const FRAMING_ALLOWANCE = 4_096;

interface Socketed {
  readonly connection: Connection;
  readonly socket: WebSocket;
  /** Answered the last ping, or is younger than it. */
  alive: boolean;
}

/** All WebSockets of a gateway, on whichever port they came. */
export interface Sockets {
  readonly upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
  /** Cuts sockets that have not finished their handshake in time. */
  readonly cutLateHandshakes: () => void;
  /** Pings every socket; cuts those that answered none since the last call. */
  readonly pingAll: () => void;
  /** Cuts whatever is left. */
  readonly terminateAll: () => void;
}

export function gatewaySockets(gateway: GatewayContext): Sockets {
  const { limits, clock, metrics } = gateway;
  const all = new Set<Socketed>();
  const options: ServerOptions & { readonly closeTimeout: number } = {
    noServer: true,
    perMessageDeflate: false, // as the genuine gateway; a compressor per socket would cost 300 KB each
    clientTracking: false,
    maxPayload: limits.frameBytes,
    closeTimeout: CLOSING_MS, // an option of ws 8.23 that its types do not know yet
  };
  const server = new WebSocketServer(options);
  server.on("wsClientError", (_error, socket) => socket.destroy());

  const accept = (websocket: WebSocket, tcp: Socket, request: IncomingMessage): void => {
    const { origin, host } = request.headers;
    const connection = new Connection(gateway, wireOf(websocket, tcp), { origin, host });
    const entry: Socketed = { connection, socket: websocket, alive: true };
    all.add(entry);
    gateway.connections.add(connection);
    metrics.connection("opened");
    limitHandshake(connection, tcp, limits.preConnectBytes + FRAMING_ALLOWANCE);

    // As OpenClaw: a binary frame is read as the text that it holds, so that no request is left without an answer.
    websocket.on("message", (data: RawData) => connection.receive(textOf(data)));
    websocket.on("pong", (data: Buffer) => {
      entry.alive = true;
      if (data.toString() === PROBE_TEXT) connection.outbox.arrived();
    });
    websocket.on("error", () => undefined); // ws closes by itself: bad frames, too large ones, lost peers
    websocket.on("close", () => {
      all.delete(entry);
      metrics.connection("closed");
      connection.ended();
    });
  };

  return {
    upgrade(request, socket, head) {
      const refusal = gateway.draining()
        ? 503
        : gateway.connections.size >= limits.maxConnections
          ? 429
          : null;
      if (refusal !== null) {
        metrics.connection("refused");
        return refuseUpgrade(socket, refusal);
      }
      server.handleUpgrade(request, socket, head, (websocket) =>
        accept(websocket, socket as Socket, request),
      );
    },
    cutLateHandshakes() {
      const deadline = clock.monotonic() - limits.handshakeMs;
      for (const { connection } of all) {
        if (!connection.connected && connection.openedAt <= deadline) connection.close(1000, "");
      }
    },
    pingAll() {
      for (const entry of all) {
        if (!entry.alive) entry.socket.terminate();
        else {
          entry.alive = false;
          entry.socket.ping();
        }
      }
    },
    terminateAll() {
      for (const { socket } of all) socket.terminate();
    },
  };
}

/** ws hands messages over as one Buffer (its default binaryType). */
const textOf = (data: RawData): string => (Buffer.isBuffer(data) ? data.toString() : "");

/**
 * Frames go to the TCP socket as they are: ws would frame each message for each socket anew. What ws itself sends
 * (pings, pongs, the close) are whole frames as well, so they fit between.
 */
function wireOf(websocket: WebSocket, tcp: Socket): Wire {
  return {
    write(frames, taken) {
      if (websocket.readyState === WebSocket.OPEN) tcp.write(frames, taken);
      else process.nextTick(taken); // closing: nothing follows the close frame
      return tcp.writableLength === 0;
    },
    bufferedBytes: () => tcp.writableLength,
    // A client that does not read its answers is not read either: a flood of requests waits in its own kernel.
    read: (on) => (on ? websocket.resume() : websocket.pause()),
    close: (code, reason) => websocket.close(code, reason),
    terminate: () => websocket.terminate(),
  };
}

/**
 * Bounds what a socket may send before it is connected. ws itself only knows the limit for connected clients, and a
 * stranger must not make the gateway buffer that much.
 */
function limitHandshake(connection: Connection, tcp: Socket, maxBytes: number): void {
  let bytes = 0;
  const onData = (chunk: Buffer): void => {
    bytes += chunk.length;
    if (connection.connected) tcp.off("data", onData);
    else if (bytes > maxBytes) {
      connection.close(1009, "");
      // ws would go on buffering the frame until it is whole: from here on what comes is thrown away.
      tcp.removeAllListeners("data");
      tcp.resume();
      tcp.end();
    }
  };
  tcp.on("data", onData);
}

function refuseUpgrade(socket: Duplex, status: 429 | 503): void {
  const reason = status === 503 ? "Service Unavailable" : "Too Many Requests";
  socket.on("error", () => undefined);
  socket.end(
    `HTTP/1.1 ${status} ${reason}\r\nConnection: close\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n`,
  );
}
