import { setTimeout as sleep } from "node:timers/promises";
import { until } from "../../server/testing/until.ts";
import { chatOf, connect, type Frame, type Link, mayRetry } from "../traffic/link.ts";
import { type HeardChat, isEnd, type SentMessage } from "./record.ts";

/** Between two tries to connect; the first follows at once. */
const RECONNECT_MS = 50;
const RETRY_MS = 100;

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
    if (!mayRetry(frame)) return void message.refusals.push(JSON.stringify(frame.error));
    await sleep(RETRY_MS);
    if (on.open()) await submit(on, key);
  };

  const follow = async (on: Link, key: string): Promise<void> => {
    if (ended.has(key)) return;
    const params = { runId: key, afterRunSeq: lastRunSeq.get(key) ?? 0 };
    const frame = await on.request("openclaw-ha.runs.follow", params);
    if (frame.ok) return;
    if (!mayRetry(frame)) return void sent.get(key)?.refusals.push(`follow: ${JSON.stringify(frame.error)}`);
    await sleep(RETRY_MS);
    if (on.open()) await follow(on, key);
  };

  const hear = (connection: number, frame: Frame): void => {
    if (frame.event === "shutdown") notes.push("shutdown");
    const chat = chatOf(frame);
    if (chat === null || !sent.has(chat.runId)) return;
    const { deltaText, replace, runId, runSeq, state, text } = chat;
    heard.push({
      client: name,
      connection,
      order: order.next(),
      runId,
      state,
      runSeq,
      deltaText,
      replace,
      text,
    });
    lastRunSeq.set(runId, runSeq);
    if (isEnd({ state })) ended.add(runId);
  };

  const live = async (): Promise<void> => {
    for (let turn = 0; !closing.signal.aborted; turn++) {
      const url = urls[turn % urls.length] as string;
      const id = order.nextConnection();
      const on = await connect({ url, token, id, hear: (frame) => hear(id, frame) }).catch(() => null);
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
