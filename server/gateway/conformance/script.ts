import { setTimeout as sleep } from "node:timers/promises";
import type { Frame } from "../../testing/frame-log.ts";
import { connectSocket, openSocket, type SocketClient } from "../../testing/socket-client.ts";
import type { ConnectOptions } from "../../testing/wire-client.ts";
import { eventName, eventsOf } from "./events.ts";
import { type Json, normalise } from "./normalise.ts";

/** A gateway, or several that must not be told apart, on which scripts are run. */
export interface Target {
  readonly name: "genuine" | "pool";
  /** WebSocket addresses; the clients of a script take them in turn. */
  readonly urls: readonly string[];
  readonly token: string;
  /** What the target calls its own version, for the normaliser. */
  readonly versions: readonly string[];
}

/** A target that was started here, and ends here. */
export interface RunningTarget extends Target {
  close(): Promise<void>;
}

/** What one client does and what it looks at, in the words of the protocol. It knows nothing of its target. */
export interface ConformanceCase {
  /** Unique, and stable: documented differences name it. */
  readonly name: string;
  /** Methods whose answer the case looks at. */
  readonly methods: readonly string[];
  run(script: Script): Promise<void>;
}

/** Observations of one case on one target, by their label. */
export type Recording = Readonly<Record<string, Json>>;

/** How long nothing may come before a client takes its session for quiet. */
const QUIET_MS = 350;
const QUIET_AT_MOST_MS = 6_000;

/** What a case is run with: clients of its target, names of its own, and a place to write down what was seen. */
export class Script {
  readonly recorded: Record<string, Json> = {};
  readonly target: Target;
  /** Begins every session key and run id of this case. */
  readonly prefix: string;
  private readonly tag: string;
  private readonly clients: SocketClient[] = [];

  constructor(target: Target, tag: string, slug: string) {
    this.target = target;
    this.tag = tag;
    this.prefix = `${tag}-${slug}`;
  }

  /** A session key or run id that no other case has. */
  named(name: string): string {
    return `${this.prefix}-${name}`;
  }

  /** The canonical key of `named(name)`. */
  canonical(name: string): string {
    return `agent:main:${this.named(name)}`;
  }

  /** Writes one observation down, without its accidents. */
  note(label: string, value: unknown): void {
    if (label in this.recorded) throw new Error(`noted twice: ${label}`);
    this.recorded[label] = normalise(value, { tag: this.tag, versions: this.target.versions });
  }

  private nextUrl(): string {
    const { urls } = this.target;
    return urls[this.clients.length % urls.length] as string;
  }

  /** A connected client with every scope, or what the options say. */
  async client(options: ConnectOptions = {}): Promise<ScriptClient> {
    const socket = await connectSocket(this.nextUrl(), {
      token: this.target.token,
      scopes: ["operator.admin", "operator.read", "operator.write"],
      ...options,
    });
    this.clients.push(socket);
    return new ScriptClient(this, socket);
  }

  /** A client that has been challenged and has said nothing. */
  async stranger(): Promise<ScriptClient> {
    const socket = await openSocket(this.nextUrl());
    this.clients.push(socket);
    return new ScriptClient(this, socket);
  }

  /** Cuts whatever the case has left open. */
  end(): void {
    for (const client of this.clients) client.terminate();
  }
}

/** One socket of a script. */
export class ScriptClient {
  readonly socket: SocketClient;
  private readonly script: Script;

  constructor(script: Script, socket: SocketClient) {
    this.script = script;
    this.socket = socket;
  }

  /** Sends a request and notes its first answer under the label. */
  async ask(label: string, method: string, params?: unknown): Promise<Frame> {
    const answer = await this.socket.request(method, params);
    this.script.note(label, answerOf(answer));
    return answer;
  }

  /** Sends a request whose answer is not what the case is about. @throws Error when it is refused */
  do(method: string, params?: unknown): Promise<Record<string, unknown>> {
    return this.socket.ok(method, params);
  }

  /** Sends text as it is, and notes what came back within a moment: answers, and whether the socket was closed. */
  async blurt(label: string, text: string | Buffer, waitMs = 250): Promise<void> {
    const before = this.socket.frames.length;
    this.socket.raw(text);
    const closed = await this.socket.closing(waitMs).catch(() => null);
    const answers = this.socket.frames.slice(before).filter(({ type }) => type === "res");
    this.script.note(label, {
      answers: answers.map((frame) => ({ id: frame.id, ...answerOf(frame) })),
      closed,
    });
  }

  /** A run from its request to the quiet after its end. */
  async turn(key: string, message: string, runId: string, more: Record<string, unknown> = {}): Promise<void> {
    await this.do("chat.send", { sessionKey: key, message, idempotencyKey: runId, ...more });
    await this.socket.end(runId);
    await this.idle(key);
  }

  /** Waits until the session has no run and nothing more is told of it. */
  async idle(key: string): Promise<void> {
    for (let quiet = 0; quiet < 2;) {
      await this.quiet();
      const { session } = await this.do("sessions.describe", { key });
      quiet = (session as { hasActiveRun?: boolean } | null)?.hasActiveRun === true ? 0 : quiet + 1;
    }
  }

  /** Waits until no event of this script has come for a moment. */
  async quiet(): Promise<void> {
    const until = performance.now() + QUIET_AT_MOST_MS;
    let count = -1;
    while (performance.now() < until) {
      const now = eventsOf(this.socket.frames, this.script.prefix).length;
      if (now === count) return;
      count = now;
      await sleep(QUIET_MS);
    }
  }

  /**
   * Notes the events of this case's sessions and runs: their order, apart from `sessions.changed` whose place is
   * loose, and the payload of the first of each name.
   */
  noteEvents(label: string, frames: readonly Frame[] = this.socket.frames): void {
    const events = eventsOf(frames, this.script.prefix);
    const names = events.map(eventName);
    const loose = (name: string): boolean => name.startsWith("sessions.changed");
    // Text comes in as many pieces as time allows, the last of them at any moment before the end: it has one place.
    const order = names.filter((name) => !loose(name)).map((name) => (TEXT_EVENTS.has(name) ? "text" : name));
    const first = (name: string, n: number): boolean => order.indexOf(name) === n;
    this.script.note(
      `${label} order`,
      order.filter((name, n) => (name === "text" ? first(name, n) : name !== order[n - 1])),
    );
    this.script.note(`${label} sessions.changed`, [...new Set(names.filter(loose))].sort());
    for (const [n, name] of names.entries()) {
      if (names.indexOf(name) !== n) continue;
      const payload = events[n]?.payload;
      this.script.note(
        `${label} ${name}`,
        TEXT_EVENTS.has(name) ? withoutText(payload) : withoutRow(payload),
      );
    }
  }
}

/** Names of events that carry a piece of the answer. */
const TEXT_EVENTS: ReadonlySet<string> = new Set(["agent assistant", "chat delta"]);

/** A piece of an answer without its words: how many of them come at once is a matter of time. */
const withoutText = (payload: unknown): unknown =>
  JSON.parse(
    JSON.stringify(payload, (name, value: unknown) =>
      ["text", "delta", "deltaText"].includes(name) ? typeof value : value,
    ),
  );

/**
 * An event without the session's row, which is read when the event is told and so shows one moment or another; rows
 * are compared where they are asked for. `rowCopied`: its fields stand beside the event's own as well.
 */
function withoutRow(payload: Frame["payload"] = {}): unknown {
  const isChange = !("state" in payload || "stream" in payload);
  if (!isChange && payload["session"] === undefined) return payload;
  const own = (name: string): boolean => EVENT_FIELDS.has(name) && !(isChange && name === "sessionId");
  const kept = Object.fromEntries(Object.entries(payload).filter(([name]) => own(name)));
  // The genuine gateway puts the row on some events of a run as well, by the moment.
  return isChange ? { ...kept, row: "session" in payload, rowCopied: "sharingRole" in payload } : kept;
}

/** Fields of events that are their own and not the session row's. */
const EVENT_FIELDS: ReadonlySet<string> = new Set(
  (
    "sessionKey agentId sessionId reason phase runId ts message messageId messageSeq senderIsOwner " +
    "stream state data seq runSeq isHeartbeat lane deltaText stopReason usage errorMessage errorKind errorDetail"
  ).split(" "),
);

/** An answer without its id: payload, or error, or both. */
export const answerOf = ({ ok, payload, error }: Frame): object => ({
  ok,
  ...(payload === undefined ? {} : { payload }),
  ...(error === undefined ? {} : { error }),
});
