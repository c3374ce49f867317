import { WebSocket } from "ws";

/** What a `chat` event says of a run, as far as a measurement needs it (OpenClaw protocol 4). */
export interface ChatPayload {
  readonly runId: string;
  readonly sessionKey: string;
  readonly state: "status" | "delta" | "final" | "aborted" | "error";
  /** Only openclaw-ha numbers the events of a run across attempts. */
  readonly runSeq?: number;
  readonly errorMessage?: string;
}

export interface ClientOptions {
  readonly url: string;
  readonly token: string;
  readonly onChat?: (payload: ChatPayload) => void;
}

/** One authenticated WebSocket to any gateway that speaks OpenClaw's protocol, with as little around it as possible. */
export interface Client {
  /** @throws Error with the gateway's refusal, or when the connection ends first */
  request(method: string, params: unknown): Promise<unknown>;
  readonly closed: Promise<void>;
  close(): void;
}

interface Frame {
  readonly type: "res" | "event";
  readonly id?: string;
  readonly ok?: boolean;
  readonly event?: string;
  readonly payload?: unknown;
  readonly error?: { readonly code: string; readonly message: string };
}

/**
 * Dials and authenticates as a back end does. It asks for the events of its own sessions alone, so that both kinds of
 * gateway send it the same.
 * @throws Error when the gateway refuses or is not there
 */
export function connectClient({ url, token, onChat }: ClientOptions): Promise<Client> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, { perMessageDeflate: false });
    const waiting = new Map<string, PromiseWithResolvers<unknown>>();
    const closed = Promise.withResolvers<void>();
    let requests = 0;

    const request = (method: string, params: unknown): Promise<unknown> => {
      if (socket.readyState !== WebSocket.OPEN) return Promise.reject(new Error(`${method}: not connected`));
      const id = String(++requests);
      const answer = Promise.withResolvers<unknown>();
      waiting.set(id, answer);
      socket.send(JSON.stringify({ type: "req", id, method, params }));
      return answer.promise;
    };
    const connect = async (): Promise<void> => {
      await request("connect", {
        minProtocol: 4,
        maxProtocol: 4,
        client: { id: "gateway-client", version: "1.0.0", platform: "linux", mode: "backend" },
        role: "operator",
        scopes: ["operator.read", "operator.write"],
        caps: ["session-scoped-events"],
        auth: { token },
      });
      resolve({ request, closed: closed.promise, close: () => socket.terminate() });
    };

    socket.on("message", (data: Buffer) => {
      const frame = JSON.parse(data.toString()) as Frame;
      if (frame.type === "event") {
        if (frame.event === "chat") onChat?.(frame.payload as ChatPayload);
        else if (frame.event === "connect.challenge") connect().catch(reject);
        return;
      }
      const answer = waiting.get(frame.id ?? "");
      waiting.delete(frame.id ?? "");
      if (frame.ok) answer?.resolve(frame.payload);
      else answer?.reject(new Error(`${frame.error?.code}: ${frame.error?.message}`));
    });
    socket.on("error", reject);
    socket.on("close", (code) => {
      const error = new Error(`the connection was closed (${code})`);
      reject(error);
      for (const answer of waiting.values()) answer.reject(error);
      closed.resolve();
    });
  });
}
