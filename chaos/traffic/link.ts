import { WebSocket } from "ws";
import { z } from "zod";

/** A client that hears nothing of its gateway for so long takes the connection for dead. */
const SILENCE_MS = 3_000;
const PING_MS = 500;

const frameSchema = z.looseObject({
  type: z.enum(["event", "res"]),
  id: z.string().optional(),
  ok: z.boolean().optional(),
  event: z.string().optional(),
  payload: z.looseObject({}).optional(),
  error: z
    .looseObject({
      code: z.string(),
      message: z.string(),
      retryable: z.boolean().optional(),
      retryAfterMs: z.number().optional(),
    })
    .optional(),
});

/** What a gateway sends: an event, or the response to a request. */
export type Frame = z.infer<typeof frameSchema>;

const chatSchema = z.looseObject({
  runId: z.string(),
  sessionKey: z.string(),
  state: z.enum(["status", "delta", "final", "aborted", "error"]),
  runSeq: z.number(),
  deltaText: z.string().optional(),
  replace: z.boolean().optional(),
  message: z.looseObject({ content: z.array(z.looseObject({ text: z.string() })) }).optional(),
  errorMessage: z.string().optional(),
});

/** The payload of a `chat` event, with its whole text where it tells one. */
export interface Chat {
  readonly runId: string;
  readonly sessionKey: string;
  readonly state: "status" | "delta" | "final" | "aborted" | "error";
  readonly runSeq: number;
  readonly deltaText: string | null;
  readonly replace: boolean;
  readonly text: string | null;
  readonly error: string | null;
}

/** Null for every other event. */
export function chatOf(frame: Frame): Chat | null {
  if (frame.event !== "chat") return null;
  const { data } = chatSchema.safeParse(frame.payload);
  if (data === undefined) return null;
  const {
    deltaText = null,
    errorMessage = null,
    message,
    replace = false,
    runId,
    runSeq,
    sessionKey,
    state,
  } = data;
  const text = message?.content.map((block) => block.text).join("") ?? null;
  return { runId, sessionKey, state, runSeq, deltaText, replace, text, error: errorMessage };
}

/** True for the one event that ends a run. */
export const isEnd = ({ state }: Pick<Chat, "state">): boolean => state !== "status" && state !== "delta";

/** True where the same request may be sent again. */
export const mayRetry = ({ error }: Frame): boolean =>
  error?.retryable === true || error?.code === "UNAVAILABLE";

/** One connection that has been let in. */
export interface Link {
  readonly id: number;
  /** @throws Error when the connection is lost before the response: whether it took effect is unknown then */
  request(method: string, params: unknown): Promise<Frame>;
  /** Resolves to the WebSocket's close code; 1006 where nobody said goodbye. */
  readonly closed: Promise<number>;
  open(): boolean;
  /** At once and without a goodbye, as a client does that loses its network. */
  close(): void;
}

export interface ConnectOptions {
  readonly url: string;
  readonly token: string;
  /** A number for records. */
  readonly id: number;
  /** Every frame after the handshake's challenge, before a request on it resolves; `raw` is its text. */
  readonly hear: (frame: Frame, raw: string) => void;
}

/**
 * Connects as an operator. A connection on which nothing is heard for some seconds, no pong either, is cut.
 * @throws Error when the gateway does not let it in
 */
export function connect({ hear, id, token, url }: ConnectOptions): Promise<Link> {
  const socket = new WebSocket(url, { perMessageDeflate: false, handshakeTimeout: SILENCE_MS });
  const waiting = new Map<string, { resolve: (frame: Frame) => void; reject: (error: Error) => void }>();
  const closed = Promise.withResolvers<number>();
  const admitted = Promise.withResolvers<Link>();
  let requests = 0;
  let heardAt = performance.now();

  const request = (method: string, params: unknown): Promise<Frame> =>
    new Promise((resolve, reject) => {
      if (socket.readyState !== WebSocket.OPEN) return reject(new Error("the connection is closed"));
      const requestId = `r${++requests}`;
      waiting.set(requestId, { resolve, reject });
      socket.send(JSON.stringify({ type: "req", id: requestId, method, params }));
    });

  const handshake = async (): Promise<void> => {
    const answer = await request("connect", {
      minProtocol: 4,
      maxProtocol: 4,
      client: { id: "gateway-client", version: "1.0.0", platform: "linux", mode: "backend" },
      role: "operator",
      scopes: ["operator.admin"],
      caps: [],
      auth: { token },
    });
    if (!answer.ok) throw new Error(`not let in: ${JSON.stringify(answer.error)}`);
    admitted.resolve({
      id,
      request,
      closed: closed.promise,
      open: () => socket.readyState === WebSocket.OPEN,
      close: () => socket.terminate(),
    });
  };

  const watch = setInterval(() => {
    if (performance.now() - heardAt > SILENCE_MS) socket.terminate();
    else if (socket.readyState === WebSocket.OPEN) socket.ping();
  }, PING_MS);
  socket.on("pong", () => (heardAt = performance.now()));
  socket.on("message", (data) => {
    heardAt = performance.now();
    const raw = (data as Buffer).toString();
    const frame = frameSchema.parse(JSON.parse(raw));
    if (frame.event === "connect.challenge") {
      handshake().catch((error: Error) => {
        admitted.reject(error);
        socket.terminate();
      });
      return;
    }
    hear(frame, raw);
    if (frame.type === "event") return;
    waiting.get(frame.id ?? "")?.resolve(frame);
    waiting.delete(frame.id ?? "");
  });
  socket.on("error", () => {});
  socket.on("close", (code) => {
    clearInterval(watch);
    const lost = new Error(`the connection to ${url} was lost`);
    for (const { reject } of waiting.values()) reject(lost);
    admitted.reject(lost);
    closed.resolve(code);
  });
  return admitted.promise;
}
