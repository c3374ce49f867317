import { setTimeout as sleep } from "node:timers/promises";
import { WebSocket } from "ws";
import { z } from "zod";
import { until } from "../../server/testing/until.ts";
import { type HeardChat, isEnd, type SentMessage } from "./record.ts";

/** A client that hears nothing of its gateway for so long takes the connection for dead. */
const SILENCE_MS = 3_000;
const PING_MS = 500;
/** Between two tries to connect; the first follows at once. */
const RECONNECT_MS = 50;
const RETRY_MS = 100;

const frameSchema = z.looseObject({
  type: z.enum(["event", "res"]),
  id: z.string().optional(),
  ok: z.boolean().optional(),
  event: z.string().optional(),
  payload: z.looseObject({}).optional(),
  error: z
    .looseObject({ code: z.string(), message: z.string(), retryable: z.boolean().optional() })
    .optional(),
});
type Frame = z.infer<typeof frameSchema>;

const chatSchema = z.looseObject({
  runId: z.string(),
  state: z.enum(["status", "delta", "final", "aborted", "error"]),
  runSeq: z.number(),
  deltaText: z.string().optional(),
  replace: z.boolean().optional(),
  message: z.looseObject({ content: z.array(z.looseObject({ text: z.string() })) }).optional(),
});

/** What several clients share: one order of all moments, and one count of connections. */
export function commonOrder() {
  let order = 0;
  let connections = 0;
  return { next: () => ++order, nextConnection: () => ++connections };
}

export interface Message {
  readonly key: string;
  readonly sessionKey: string;
  /** What the answer must repeat, with the mark of the key. */
  readonly words: string;
  /** Directives for the demo model, in front of the words. */
  readonly directives?: string;
}

export interface RecordingClient {
  readonly name: string;
  readonly sent: readonly SentMessage[];
  /** Chat events of its own runs, as they came. */
  readonly heard: readonly HeardChat[];
  /** Events of its connections that are no chat: `shutdown`; and how connections ended. */
  readonly notes: readonly string[];
  /** Sends it, over as many gateways as it takes. Never rejects; `acknowledged` and `ended` tell how it goes. */
  send(message: Message): SentMessage;
  acknowledged(key: string, timeoutMs?: number): Promise<void>;
  /** Resolves when every message has its terminal event. */
  ended(timeoutMs?: number): Promise<void>;
  close(): Promise<void>;
}

export interface RecordingClientOptions {
  readonly name: string;
  /** Asked in turn, from the first. Several clients of one gateway pool start at different ones. */
  readonly urls: readonly string[];
  readonly token: string;
  readonly order: ReturnType<typeof commonOrder>;
}

/**
 * A client as the protocol wants it, which writes down what it hears: it reconnects at once, repeats what was not
 * acknowledged under the same key, and follows what was from the last event that it saw.
 */
export function recordingClient(options: RecordingClientOptions): RecordingClient {
  const { name, urls, token, order } = options;
  const sent = new Map<string, SentMessage & { readonly text: string }>();
  const heard: HeardChat[] = [];
  const lastRunSeq = new Map<string, number>();
  const ended = new Set<string>();
  const notes: string[] = [];
  const closing = new AbortController();
  let link: Link | null = null;

  const acknowledge = (message: SentMessage, connection: number, frame: Frame): boolean => {
    if (!frame.ok) return false;
    const status = String(frame.payload?.["status"]);
    message.acks.push({ order: order.next(), connection, status });
    return true;
  };

  /** Sends until a gateway has answered, on this connection; the next connection begins anew. */
  const submit = async (on: Link, key: string): Promise<void> => {
    const message = sent.get(key);
    if (message === undefined) return;
    message.sentOrder ??= order.next();
    const { sessionKey, text } = message;
    const frame = await on.request("chat.send", { sessionKey, message: text, idempotencyKey: key });
    if (acknowledge(message, on.id, frame)) {
      // A run that an earlier connection made has told things which this one did not hear.
      if (message.acks.at(-1)?.status !== "started") await follow(on, key);
      return;
    }
    if (!retryable(frame)) return void message.refusals.push(JSON.stringify(frame.error));
    await sleep(RETRY_MS);
    if (on.open()) await submit(on, key);
  };

  const follow = async (on: Link, key: string): Promise<void> => {
    if (ended.has(key)) return;
    const params = { runId: key, afterRunSeq: lastRunSeq.get(key) ?? 0 };
    const frame = await on.request("openclaw-ha.runs.follow", params);
    if (frame.ok) return;
    if (!retryable(frame)) return void sent.get(key)?.refusals.push(`follow: ${JSON.stringify(frame.error)}`);
    await sleep(RETRY_MS);
    if (on.open()) await follow(on, key);
  };

  const hear = (connection: number, frame: Frame): void => {
    if (frame.event === "shutdown") notes.push("shutdown");
    const chat = frame.event === "chat" ? chatSchema.safeParse(frame.payload) : null;
    if (!chat?.success || !sent.has(chat.data.runId)) return;
    const { runId, state, runSeq, deltaText, replace, message } = chat.data;
    heard.push({
      client: name,
      connection,
      order: order.next(),
      runId,
      state,
      runSeq,
      deltaText: deltaText ?? null,
      replace: replace ?? false,
      text: message?.content.map((block) => block.text).join("") ?? null,
    });
    lastRunSeq.set(runId, runSeq);
    if (isEnd({ state })) ended.add(runId);
  };

  const live = async (): Promise<void> => {
    for (let turn = 0; !closing.signal.aborted; turn++) {
      const url = urls[turn % urls.length] as string;
      const on = await connect(url, token, order.nextConnection(), hear).catch(() => null);
      if (on !== null) {
        link = on;
        for (const [key, { acks, refusals }] of sent) {
          if (refusals.length > 0 || ended.has(key)) continue;
          void (acks.length === 0 ? submit(on, key) : follow(on, key)).catch(() => undefined);
        }
        const code = await on.closed;
        notes.push(`closed ${code}`);
        link = null;
      }
      if (on === null || turn > 0)
        await sleep(RECONNECT_MS, undefined, { signal: closing.signal }).catch(() => {});
    }
  };
  const living = live();

  return {
    name,
    get sent() {
      return [...sent.values()];
    },
    heard,
    notes,
    send({ key, sessionKey, words, directives }) {
      const text = directives === undefined ? words : `[[demo ${directives}]] ${words}`;
      const message = { client: name, key, sessionKey, words, text, sentOrder: null, acks: [], refusals: [] };
      sent.set(key, message);
      if (link?.open()) void submit(link, key).catch(() => undefined);
      return message;
    },
    async acknowledged(key, timeoutMs = 30_000) {
      await until(() => (sent.get(key)?.acks.length ?? 0) > 0, {
        timeoutMs,
        what: `${name}: the ack of ${key}`,
      });
    },
    async ended(timeoutMs = 60_000) {
      const open = () =>
        [...sent.values()].filter(({ key, refusals }) => !ended.has(key) && refusals.length === 0);
      await until(() => open().length === 0, { timeoutMs }).catch(() => {
        const missing = open().map(({ key, acks }) => `${key} (${acks.at(-1)?.status ?? "no ack"})`);
        throw new Error(`${name}: no end within ${timeoutMs} ms of ${missing.join(", ")}`);
      });
    },
    async close() {
      closing.abort();
      link?.close();
      await living;
    },
  };
}

const retryable = ({ error }: Frame): boolean => error?.retryable === true || error?.code === "UNAVAILABLE";

/** One connection that has been let in. Requests on it reject when it is lost. */
interface Link {
  readonly id: number;
  request(method: string, params: unknown): Promise<Frame>;
  readonly closed: Promise<number>;
  open(): boolean;
  close(): void;
}

function connect(
  url: string,
  token: string,
  id: number,
  hear: (connection: number, frame: Frame) => void,
): Promise<Link> {
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
      scopes: ["operator.read", "operator.write"],
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
    const frame = frameSchema.parse(JSON.parse((data as Buffer).toString()));
    if (frame.event === "connect.challenge") {
      handshake().catch((error: Error) => {
        admitted.reject(error);
        socket.terminate();
      });
    } else if (frame.type === "event") hear(id, frame);
    else {
      waiting.get(frame.id ?? "")?.resolve(frame);
      waiting.delete(frame.id ?? "");
    }
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
