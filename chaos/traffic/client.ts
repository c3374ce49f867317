import { setTimeout as sleep } from "node:timers/promises";
import type { HistoryWriter } from "../history/writer.ts";
import type { Method } from "../history/format.ts";
import { chatOf, connect, type Frame, isEnd, type Link, mayRetry } from "./link.ts";
import type { Intent, Message } from "./plan.ts";

export interface ChaosClientOptions {
  readonly name: string;
  readonly tenant: string;
  readonly token: string;
  /** Asked in turn, from the first. */
  readonly gateways: readonly { readonly id: string; readonly url: string }[];
  /** What this client must never read. */
  readonly foreignCanaries: readonly string[];
  readonly history: HistoryWriter;
}

/**
 * A client as the protocol wants it, which writes every operation into the history: it reconnects at once, repeats
 * what was not acknowledged under the same key, and follows what was from the last event that it saw.
 */
export interface ChaosClient {
  readonly name: string;
  readonly tenant: string;
  /** Sends until a gateway has answered, over as many connections as it takes. Resolves to whether it was accepted. */
  send(message: Message): Promise<boolean>;
  /** From before the run exists until its end, its events are heard and written down. Call it before the send. */
  watch(key: string, sessionKey: string): void;
  /** Asks a gateway for what was missed of a run that is watched, and for the rest. */
  follow(key: string): void;
  /** One request, not repeated when it is lost. */
  abort(sessionKey: string, key: string): Promise<void>;
  history(sessionKey: string): Promise<void>;
  /** Adds a cron job for one time, so much later, whose message is said in its session; not repeated when it is lost. */
  schedule(message: Message, dueAfterMs: number): Promise<void>;
  /** One request with an answer that is to be a refusal; repeated while the refusal is a passing one. */
  conflict(message: Message): Promise<void>;
  /** Throws the connection away. The next one is made at once, at the next gateway. */
  drop(): void;
  /** Runs of this client that have no end yet, and sends without an answer. */
  open(): { readonly unanswered: number; readonly unended: number };
  close(): Promise<void>;
}

/** Between two tries to connect; the first follows at once. */
const RECONNECT_MS = 50;
const RETRY_MS = 100;
/** A gateway's wish for a later retry is heeded up to here: the run has an end. */
const RETRY_MAX_MS = 1_000;
const CONFLICT_TRIES = 20;
const FRAME_EXCERPT = 300;
const HISTORY_LIMIT = 50;

interface Watched {
  readonly key: string;
  readonly sessionKey: string;
  readonly message: Message | null;
  readonly answered: PromiseWithResolvers<boolean>;
  state: "unsent" | "accepted" | "refused";
  lastRunSeq: number;
  ended: boolean;
}

export function chaosClient(options: ChaosClientOptions): ChaosClient {
  const { foreignCanaries, gateways, history, name, tenant, token } = options;
  const watched = new Map<string, Watched>();
  const closing = new AbortController();
  let link: Link | null = null;
  let gateway = "";

  const watch = (key: string, sessionKey: string, message: Message | null): Watched => {
    const known = watched.get(key);
    if (known !== undefined) return known;
    const answered = Promise.withResolvers<boolean>();
    const made = {
      key,
      sessionKey,
      message,
      answered,
      state: "unsent" as const,
      lastRunSeq: 0,
      ended: false,
    };
    watched.set(key, made);
    return made;
  };

  /** One operation: a request and its answer, or none, in the history. Null when it was lost. */
  const operate = async (
    on: Link,
    method: Method,
    what: {
      readonly sessionKey: string;
      readonly key?: string;
      readonly message?: Message;
      readonly intent?: Intent;
    },
    request: { readonly method: string; readonly params: unknown },
  ): Promise<Frame | null> => {
    const op = history.nextOp();
    history.write({
      type: "invoke",
      op,
      method,
      client: name,
      connection: on.id,
      gateway,
      tenant,
      sessionKey: what.sessionKey,
      key: what.message?.key ?? what.key ?? null,
      text: what.message?.text ?? null,
      words: what.message?.words ?? null,
      queueMode: what.message?.queueMode ?? null,
      intent: what.message?.intent ?? what.intent ?? "plain",
    });
    const frame = await on.request(request.method, request.params).catch(() => null);
    history.write({ type: "complete", op, ...outcomeOf(frame, method) });
    return frame;
  };

  const submit = async (on: Link, one: Watched): Promise<void> => {
    const { key, message, sessionKey } = one;
    if (message === null) return;
    const { queueMode, text } = message;
    const params = {
      sessionKey,
      message: text,
      idempotencyKey: key,
      ...(queueMode === null ? {} : { queueMode }),
    };
    const frame = await operate(on, "send", { sessionKey, message }, { method: "chat.send", params });
    if (frame === null) return; // the next connection asks again
    if (frame.ok) {
      one.state = "accepted";
      one.answered.resolve(true);
      // A run that an earlier request made has told things which this connection did not hear.
      if (frame.payload?.["status"] !== "started") await follow(on, one);
      return;
    }
    if (!mayRetry(frame)) {
      one.state = "refused";
      one.answered.resolve(false);
      return;
    }
    await pause(frame);
    if (on.open()) await submit(on, one);
  };

  const follow = async (on: Link, one: Watched): Promise<void> => {
    if (one.ended) return;
    const { key, lastRunSeq, sessionKey } = one;
    const params = { runId: key, afterRunSeq: lastRunSeq };
    const frame = await operate(
      on,
      "follow",
      { sessionKey, key },
      { method: "openclaw-ha.runs.follow", params },
    );
    if (frame === null || frame.ok || !mayRetry(frame)) return;
    await pause(frame);
    if (on.open()) await follow(on, one);
  };

  const hear = (connection: number, frame: Frame, raw: string): void => {
    for (const canary of foreignCanaries) {
      if (!raw.includes(canary)) continue;
      history.write({
        type: "leak",
        client: name,
        connection,
        tenant,
        canary,
        frame: raw.slice(0, FRAME_EXCERPT),
      });
    }
    const chat = chatOf(frame);
    const one = chat === null ? undefined : watched.get(chat.runId);
    if (chat === null || one === undefined) return;
    history.write({
      type: "chat",
      client: name,
      connection,
      tenant,
      sessionKey: chat.sessionKey,
      runId: chat.runId,
      state: chat.state,
      runSeq: chat.runSeq,
      delta: chat.deltaText,
      replace: chat.replace,
      text: chat.text,
      error: chat.error,
    });
    one.lastRunSeq = chat.runSeq;
    if (isEnd(chat)) one.ended = true;
  };

  /** What is under way goes on over a new connection. */
  const resume = (on: Link): void => {
    for (const one of watched.values()) {
      // A run whose end was heard already may still lack this client's own ack: its twin was faster.
      if (one.state === "unsent" && one.message !== null) void submit(on, one);
      else if (one.state === "accepted") void follow(on, one);
    }
  };

  const live = async (): Promise<void> => {
    for (let turn = 0; !closing.signal.aborted; turn++) {
      const at = gateways[turn % gateways.length];
      if (at === undefined) return;
      const id = history.nextConnection();
      const on = await connect({ url: at.url, token, id, hear: (frame, raw) => hear(id, frame, raw) }).catch(
        () => null,
      );
      if (on !== null) {
        const told = { type: "connection", client: name, connection: id, gateway: at.id, tenant } as const;
        history.write({ ...told, state: "open", code: null });
        gateway = at.id;
        link = on;
        resume(on);
        const code = await on.closed;
        link = null;
        history.write({ ...told, state: "closed", code });
      }
      if (on === null || turn > 0)
        await sleep(RECONNECT_MS, undefined, { signal: closing.signal }).catch(() => {});
    }
  };
  const living = live();

  return {
    name,
    tenant,
    send(message) {
      const one = watch(message.key, message.sessionKey, message);
      if (link?.open()) void submit(link, one);
      return one.answered.promise;
    },
    watch: (key, sessionKey) => void watch(key, sessionKey, null),
    follow(key) {
      const one = watched.get(key);
      if (one === undefined) return;
      // From now on a lost connection is made good by following again.
      one.state = "accepted";
      if (link?.open()) void follow(link, one);
    },
    async abort(sessionKey, key) {
      const params = { sessionKey, runId: key };
      if (link?.open())
        await operate(link, "abort", { sessionKey, key, intent: "abort" }, { method: "chat.abort", params });
    },
    async history(sessionKey) {
      const params = { sessionKey, limit: HISTORY_LIMIT };
      if (link?.open()) await operate(link, "history", { sessionKey }, { method: "chat.history", params });
    },
    async schedule(message, dueAfterMs) {
      const { key, sessionKey, text } = message;
      const params = {
        id: key,
        name: key,
        schedule: { kind: "at", at: new Date(Date.now() + dueAfterMs).toISOString() },
        sessionTarget: `session:${sessionKey}`,
        payload: { kind: "agentTurn", message: text },
      };
      if (link?.open()) await operate(link, "cron", { sessionKey, message }, { method: "cron.add", params });
    },
    async conflict(message) {
      const { key, sessionKey, text } = message;
      const params = { sessionKey, message: text, idempotencyKey: key };
      for (let tries = 0; tries < CONFLICT_TRIES && !closing.signal.aborted; tries++) {
        const on = link;
        const frame = on?.open()
          ? await operate(on, "send", { sessionKey, message }, { method: "chat.send", params })
          : null;
        if (frame !== null && !mayRetry(frame)) return;
        await sleep(RETRY_MS);
      }
    },
    drop: () => link?.close(),
    open() {
      const all = [...watched.values()];
      return {
        unanswered: all.filter(({ message, state }) => message !== null && state === "unsent").length,
        unended: all.filter(({ ended, state }) => state === "accepted" && !ended).length,
      };
    },
    async close() {
      closing.abort();
      link?.close();
      await living;
    },
  };
}

const pause = ({ error }: Frame): Promise<void> =>
  sleep(Math.min(error?.retryAfterMs ?? RETRY_MS, RETRY_MAX_MS));

/** An answer as the history holds it. */
function outcomeOf(frame: Frame | null, method: Method) {
  const nothing = { status: null, runId: null, error: null, rows: null };
  if (frame === null) return { ...nothing, outcome: "lost" as const };
  if (!frame.ok) {
    const { code = "", message = "", retryAfterMs = null, retryable = false } = frame.error ?? {};
    return { ...nothing, outcome: "refused" as const, error: { code, message, retryable, retryAfterMs } };
  }
  const { payload = {} } = frame;
  return {
    ...nothing,
    outcome: "ok" as const,
    status: textOf(payload["status"]),
    runId: textOf(payload["runId"]),
    rows: method === "history" ? rowsOf(payload["messages"]) : null,
  };
}

const textOf = (value: unknown): string | null => (typeof value === "string" ? value : null);

interface WireRow {
  readonly role?: string;
  readonly content?: string | readonly { readonly type?: string; readonly text?: string }[];
  readonly __openclaw?: { readonly seq?: number };
}

const rowsOf = (messages: unknown) =>
  ((messages ?? []) as readonly WireRow[]).map(({ __openclaw: place, content = "", role = "" }) => ({
    role,
    seq: place?.seq ?? 0,
    text: typeof content === "string" ? content : content.map(({ text = "" }) => text).join(""),
  }));
