import { WebSocket } from "ws";
import { type Frame, FrameLog } from "./frame-log.ts";
import { type ConnectOptions, connectParamsOf } from "./wire-client.ts";

/** How a connection ended: the close code and reason of the gateway, 1006 where the socket just broke. */
export interface Closed {
  readonly code: number;
  readonly reason: string;
}

/** A client of a running gateway that keeps every frame it received. It does not reconnect. */
export class SocketClient extends FrameLog {
  /** Settles when the connection is gone, for whatever reason. */
  readonly closed: Promise<Closed>;
  private readonly socket: WebSocket;
  private requests = 0;

  constructor(url: string) {
    super();
    this.socket = new WebSocket(url, { perMessageDeflate: false, maxPayload: 0 });
    this.socket.on("message", (data: Buffer) => this.push(JSON.parse(data.toString()) as Frame));
    // What went wrong is told by `closed` and to whoever waits for a frame.
    this.socket.on("error", (error) => this.fail(error));
    this.closed = new Promise((resolve) => {
      this.socket.on("close", (code, reason) => {
        this.fail(new Error(`the connection to ${url} was closed: ${code} ${reason.toString()}`));
        resolve({ code, reason: reason.toString() });
      });
    });
  }

  get isOpen(): boolean {
    return this.socket.readyState === WebSocket.OPEN;
  }

  /** Sends a request and answers its id. @throws Error when the connection is gone */
  send(method: string, params?: unknown): string {
    const id = `r${++this.requests}`;
    this.raw(JSON.stringify({ type: "req", id, method, params }));
    return id;
  }

  /** @throws Error when the connection is gone */
  raw(text: string | Buffer): void {
    if (!this.isOpen) throw new Error("the connection is not open");
    this.socket.send(text);
  }

  /** Stops reading, as a client that is stuck does, until `resume`. */
  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  /** @throws Error when the connection ends or nothing comes before the response does */
  async request(method: string, params?: unknown, timeoutMs?: number): Promise<Frame> {
    return this.response(this.send(method, params), 1, timeoutMs);
  }

  /** Payload of a request that must succeed. @throws Error with the gateway's refusal */
  async ok(method: string, params?: unknown, timeoutMs?: number): Promise<Record<string, unknown>> {
    const response = await this.request(method, params, timeoutMs);
    if (!response.ok) throw new Error(`${method}: ${JSON.stringify(response.error)}`);
    return response.payload ?? {};
  }

  /** How the connection ended. @throws Error when it is still open after `timeoutMs` */
  closing(timeoutMs = 30_000): Promise<Closed> {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`still open after ${timeoutMs} ms`)), timeoutMs);
      void this.closed.then((closed) => (clearTimeout(late), resolve(closed)));
    });
  }

  async close(): Promise<void> {
    this.socket.close(1000);
    await this.closed;
  }

  /** Cuts the connection without a word. */
  terminate(): void {
    this.socket.terminate();
  }
}

/** A socket that has received its challenge and said nothing yet. @throws Error when nothing listens there */
export async function openSocket(url: string): Promise<SocketClient> {
  const client = new SocketClient(url);
  await client.wait(({ event }) => event === "connect.challenge", `the challenge of ${url}`);
  return client;
}

/** A connected client. @throws Error when no gateway listens there, or it refuses the client */
export async function connectSocket(url: string, options: ConnectOptions = {}): Promise<SocketClient> {
  const client = await openSocket(url);
  const response = await client.request("connect", connectParamsOf(options));
  if (response.ok) return client;
  client.terminate();
  throw new Error(`connect: ${JSON.stringify(response.error)}`);
}
