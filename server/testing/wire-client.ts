import { Connection, type Upgrade } from "../gateway/connection.ts";
import type { GatewayContext } from "../gateway/context.ts";
import { FakeWire } from "./fake-wire.ts";
import { type Frame, FrameLog } from "./frame-log.ts";
import { ACME_TOKEN } from "./gateway-pool.ts";

export type { Frame } from "./frame-log.ts";

export interface ConnectOptions {
  readonly token?: string;
  readonly scopes?: readonly string[];
  readonly caps?: readonly string[];
  readonly params?: Readonly<Record<string, unknown>>;
  readonly upgrade?: Upgrade;
}

/** Params of a plain `gateway-client` connect, the one that back ends use. */
export const connectParamsOf = (options: ConnectOptions = {}): Record<string, unknown> => ({
  minProtocol: 4,
  maxProtocol: 4,
  client: { id: "gateway-client", version: "1.0.0", platform: "linux", mode: "backend" },
  role: "operator",
  scopes: options.scopes ?? ["operator.admin"],
  caps: options.caps ?? [],
  auth: { token: options.token ?? ACME_TOKEN },
  ...options.params,
});

/** A client of one gateway without a socket: what the gateway sends is in `frames`, in order. */
export class WireClient extends FrameLog {
  readonly connection: Connection;
  /** Stalls and resumes. */
  readonly wire: FakeWire;
  closed: { readonly code: number; readonly reason: string } | null = null;
  private requests = 0;

  constructor(gateway: GatewayContext, upgrade: Upgrade = { origin: undefined, host: "127.0.0.1:1" }) {
    super();
    this.wire = new FakeWire({
      text: (text) => this.push(JSON.parse(text) as Frame),
      ping: () => this.connection.outbox.arrived(),
      closed: (code, reason) => {
        if (this.closed) return;
        this.closed = { code, reason };
        queueMicrotask(() => this.connection.ended());
      },
    });
    this.connection = new Connection(gateway, this.wire, upgrade);
    gateway.connections.add(this.connection);
    this.connection.outbox.flush();
  }

  /** Sends a request and answers its id. */
  send(method: string, params?: unknown): string {
    const id = `r${++this.requests}`;
    this.raw(JSON.stringify({ type: "req", id, method, params }));
    return id;
  }

  /** Sends a text; what it is answered at once has been received when this returns. */
  raw(text: string): void {
    this.connection.receive(text);
    this.connection.outbox.flush();
  }

  request(method: string, params?: unknown): Promise<Frame> {
    return this.response(this.send(method, params));
  }

  /** Payload of a request that must succeed. */
  async ok(method: string, params?: unknown): Promise<Record<string, unknown>> {
    const response = await this.request(method, params);
    if (!response.ok) throw new Error(`${method}: ${JSON.stringify(response.error)}`);
    return response.payload ?? {};
  }
}

/** A connected client. @throws Error when the gateway refuses it */
export async function connectWire(
  gateway: GatewayContext,
  options: ConnectOptions = {},
): Promise<WireClient> {
  const client = new WireClient(gateway, options.upgrade);
  const response = await client.request("connect", connectParamsOf(options));
  if (!response.ok) throw new Error(`connect: ${JSON.stringify(response.error)}`);
  return client;
}
