import { WebSocket } from "k6/websockets";
import { type Failure, failureOf, type WireError, unplanned } from "./failure.ts";

export interface ChatEvent {
  readonly runId: string;
  readonly state: "status" | "delta" | "final" | "aborted" | "error";
  readonly runSeq?: number;
  readonly deltaText?: string;
  readonly replace?: boolean;
  readonly message?: { readonly content: readonly { readonly text?: string }[] };
  readonly errorMessage?: string;
}

export type Payload = Readonly<Record<string, unknown>>;

/** Exactly one of the two. */
export type Reply =
  | { readonly payload: Payload; readonly failure: null }
  | { readonly payload: null; readonly failure: Failure };

export interface ConnectionOptions {
  readonly url: string;
  readonly token: string;
  readonly onChat: (event: ChatEvent) => void;
  /** Once, after the connection was let in; null: we closed it, or the gateway said before that it would. */
  readonly onLost: (failure: Failure | null) => void;
}

/** One connection that has been let in. */
export interface Connection {
  /** Answers through the callback, exactly once: also when the connection is lost first. */
  request(method: string, params: Payload, answered: (reply: Reply) => void): void;
  close(): void;
}

/** Failure of requests whose connection went away: they are not lost, only not answered on this one. */
export const CONNECTION_LOST: Failure = unplanned("connection-lost");

interface Frame {
  readonly type: string;
  readonly id?: string;
  readonly ok?: boolean;
  readonly event?: string;
  readonly payload?: Payload;
  readonly error?: WireError;
}

/** Events that say nothing to this client; they are most of the traffic, and parsing them costs more than sending. */
const IGNORED = ["agent", "session.message", "sessions.changed", "presence", "health", "tick"].map(
  (name) => `{"type":"event","event":"${name}"`,
);

/** `readyState` of a socket that takes messages; k6's WebSocket has no such constant at run time. */
const OPEN = 1;

/** A gateway that accepts the socket and then says nothing. */
const HANDSHAKE_TIMEOUT_MS = 15_000;

/**
 * Connects as a back end does: challenge, `connect` with the token, `hello-ok`; with the cap that limits run events to
 * subscribed sessions. Answers through `opened` exactly once.
 */
export function openConnection(
  options: ConnectionOptions,
  opened: (result: { readonly connection: Connection } | { readonly failure: Failure }) => void,
): void {
  const socket = new WebSocket(options.url);
  const waiting = new Map<string, (reply: Reply) => void>();
  let requests = 0;
  let state: "opening" | "open" | "closed" = "opening";
  let closing = false;

  const connection: Connection = {
    request(method, params, answered) {
      // A socket that is being closed throws at what is sent on it.
      if (state === "closed" || socket.readyState !== OPEN)
        return answered({ payload: null, failure: CONNECTION_LOST });
      const id = `r${++requests}`;
      waiting.set(id, answered);
      socket.send(JSON.stringify({ type: "req", id, method, params }));
    },
    close() {
      closing = true;
      end(CONNECTION_LOST);
      socket.close();
    },
  };

  const end = (failure: Failure): void => {
    if (state === "closed") return;
    const before = state;
    state = "closed";
    clearTimeout(late);
    for (const answered of waiting.values()) answered({ payload: null, failure: CONNECTION_LOST });
    waiting.clear();
    if (before === "opening") opened({ failure });
    else options.onLost(closing ? null : failure);
  };
  const late = setTimeout(() => {
    end(unplanned("handshake-timeout"));
    socket.close();
  }, HANDSHAKE_TIMEOUT_MS);

  const handshake = (): void =>
    connection.request("connect", connectParams(options.token), ({ failure }) => {
      if (failure !== null) {
        end(failure);
        socket.close();
        return;
      }
      if (state !== "opening") return;
      state = "open";
      clearTimeout(late);
      opened({ connection });
    });

  const heard = (text: string): void => {
    // What still comes of a connection that is being closed would come again over the next one.
    if (state === "closed") return;
    if (IGNORED.some((beginning) => text.startsWith(beginning))) return;
    const frame = JSON.parse(text) as Frame;
    if (frame.type === "res") {
      const answered = waiting.get(frame.id ?? "");
      waiting.delete(frame.id ?? "");
      if (frame.ok === true) answered?.({ payload: frame.payload ?? {}, failure: null });
      else answered?.({ payload: null, failure: failureOf(frame.error ?? {}) });
    } else if (frame.event === "connect.challenge") handshake();
    else if (frame.event === "chat") options.onChat(frame.payload as unknown as ChatEvent);
    // What follows is a planned ending: the client goes to another gateway, and nothing has failed.
    else if (frame.event === "shutdown") closing = true;
  };

  const broken = (): void => end(state === "opening" ? unplanned("connect-failed") : CONNECTION_LOST);
  socket.addEventListener("message", (event) => {
    if ("data" in event && typeof event.data === "string") heard(event.data);
  });
  socket.addEventListener("error", broken);
  socket.addEventListener("close", broken);
}

const connectParams = (token: string): Payload => ({
  minProtocol: 4,
  maxProtocol: 4,
  client: { id: "gateway-client", version: "1.0.0", platform: "linux", mode: "backend" },
  role: "operator",
  scopes: ["operator.read", "operator.write"],
  caps: ["session-scoped-events"],
  auth: { token },
});
