import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** Stands between a client and a server and can make the network fail. Loopback only. */
export interface TcpProxy {
  readonly port: number;
  /**
   * While true, connections are accepted and stay open, and no byte passes in either direction. Afterwards what was
   * held back arrives, as TCP sees to it, on the connections that nobody has given up meanwhile.
   */
  blackHole(on: boolean): void;
  /** As `blackHole`, for what the server sends alone: requests arrive, their answers do not. */
  holdAnswers(on: boolean): void;
  /** From now on new connections lead to this port, as a shared port leads to another process after a death. */
  leadTo(port: number): void;
  /** Resets every open connection; new ones are accepted. */
  cut(): void;
  close(): Promise<void>;
}

/** @param target port of the server on 127.0.0.1 */
export async function startTcpProxy(target: number): Promise<TcpProxy> {
  let upstreamPort = target;
  const requests = new Set<Socket>();
  const answers = new Set<Socket>();
  const held = { requests: false, answers: false };

  const pass = (from: Socket, to: Socket, kind: "requests" | "answers"): void => {
    const sockets = kind === "requests" ? requests : answers;
    sockets.add(from);
    from.on("data", (bytes) => to.write(bytes));
    if (held[kind]) from.pause();
    from.on("error", () => to.destroy());
    from.on("close", () => {
      sockets.delete(from);
      to.destroy();
    });
  };

  const hold = (kind: "requests" | "answers", on: boolean): void => {
    held[kind] = on;
    for (const socket of kind === "requests" ? requests : answers) {
      if (on) socket.pause();
      else socket.resume();
    }
  };
  const all = (): Socket[] => [...requests, ...answers];

  const server = createServer((client) => {
    const upstream = connect(upstreamPort, "127.0.0.1");
    pass(client, upstream, "requests");
    pass(upstream, client, "answers");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");

  return {
    port: (server.address() as AddressInfo).port,
    blackHole(on) {
      hold("requests", on);
      hold("answers", on);
    },
    holdAnswers: (on) => hold("answers", on),
    leadTo: (port) => void (upstreamPort = port),
    cut: () => {
      for (const socket of all()) socket.resetAndDestroy();
    },
    async close() {
      for (const socket of all()) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
