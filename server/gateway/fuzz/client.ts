import { setTimeout as sleep } from "node:timers/promises";
import { WebSocket } from "ws";
import { connectParamsOf } from "../../testing/wire-client.ts";
import { answerOwed, type Sent } from "./frames.ts";

/** Everything that a gateway closes a socket with (protocol.md 1 to 3), and what ws says of broken frames. */
const CLOSES = new Set([1000, 1002, 1003, 1007, 1008, 1009, 1012, 1013]);
const CODES = new Set(["INVALID_REQUEST", "FORBIDDEN", "NOT_PAIRED", "UNAVAILABLE", "NOT_FOUND"]);
/** Stacks and places of the program: nothing of it is a client's business. */
const INSIDES = /\n\s+at |node_modules|\/server\/|\.ts\b|postgres(ql)?:\/\/|redis:\/\/|SELECT |INSERT /;

export interface FuzzTarget {
  readonly url: string;
  readonly token: string;
  /** Texts that no answer may contain. */
  readonly secrets: readonly string[];
}

/** How long an answer may take, on a machine that has something else to do. */
const ANSWER_MS = 20_000;

interface Response {
  readonly id: string;
  readonly ok: boolean;
  readonly error?: { readonly code?: unknown; readonly message?: unknown };
}

/**
 * Sends all messages at once, on a socket of their own, and looks at what comes back: every request that is owed an
 * answer gets exactly one, or the socket is closed with a code that is documented; every error is one clear error.
 * @throws Error saying what was not so
 */
export async function exchange(
  target: FuzzTarget,
  messages: readonly Sent[],
  connected: boolean,
): Promise<void> {
  const socket = new WebSocket(target.url, { perMessageDeflate: false, maxPayload: 0 });
  const responses: Response[] = [];
  let closed: number | null = null;
  const faults: string[] = [];
  socket.on("close", (code) => (closed = code));
  socket.on("error", (error) => faults.push(`the socket failed: ${error.message}`));
  socket.on("message", (data: Buffer) => {
    const frame = JSON.parse(data.toString()) as Response & { readonly type: string };
    if (frame.type === "res") responses.push(frame);
  });
  try {
    await opened(socket);
    if (connected) await hello(socket, target);
    for (const { kind, data } of messages) {
      if (socket.readyState === WebSocket.OPEN) socket.send(kind === "binary" ? Buffer.from(data) : data);
    }
    await settled(() => closed !== null || missing(messages, responses).length === 0);
    if (closed === null && connected && missing(messages, responses).length > 0) {
      faults.push(`no answer within ${ANSWER_MS} ms to ${missing(messages, responses).join(", ")}`);
    }
    if (closed !== null && !CLOSES.has(closed)) faults.push(`closed with ${String(closed)}`);
    faults.push(...surplus(messages, responses), ...responses.flatMap((one) => unclear(one, target)));
  } finally {
    socket.terminate();
  }
  if (faults.length > 0) throw new Error(faults.slice(0, 3).join("; "));
}

const opened = (socket: WebSocket): Promise<void> =>
  new Promise((resolve, reject) => {
    socket.once("open", resolve);
    socket.once("close", (code) => reject(new Error(`closed with ${code} before it was open`)));
  });

function hello(socket: WebSocket, { token }: FuzzTarget): Promise<void> {
  const params = connectParamsOf({ token, scopes: ["operator.admin"], caps: ["tool-events"] });
  socket.send(JSON.stringify({ type: "req", id: "hello", method: "connect", params }));
  return new Promise((resolve, reject) => {
    socket.on("message", (data: Buffer) => {
      const { id, ok } = JSON.parse(data.toString()) as Partial<Response>;
      if (id !== "hello") return;
      if (ok) return resolve();
      reject(new Error("a good connect was refused"));
    });
    socket.once("close", (code) => reject(new Error(`closed with ${code} before hello`)));
  });
}

async function settled(done: () => boolean): Promise<void> {
  const deadline = performance.now() + ANSWER_MS;
  while (!done() && performance.now() < deadline) await sleep(5);
  // What should not come any more would come now.
  await sleep(5);
}

const timesOf = (responses: readonly Response[], id: string): number =>
  responses.filter((response) => response.id === id).length;

/** Ids that were sent once and are owed an answer which has not come. */
const missing = (messages: readonly Sent[], responses: readonly Response[]): string[] =>
  owed(messages)
    .filter(({ id }) => timesOf(responses, id) === 0)
    .map(({ id }) => id);

function owed(messages: readonly Sent[]): { readonly id: string; readonly times: number }[] {
  const sums = new Map<string, number>();
  for (const { data } of messages) {
    const one = answerOwed(data);
    if (one) sums.set(one.id, (sums.get(one.id) ?? 0) + one.times);
  }
  return [...sums].map(([id, times]) => ({ id, times }));
}

const surplus = (messages: readonly Sent[], responses: readonly Response[]): string[] =>
  owed(messages)
    .filter(({ id, times }) => timesOf(responses, id) > times)
    .map(({ id }) => `${timesOf(responses, id)} answers to ${id}`);

/** What is wrong with an error: it must be one, say something, and nothing of the inside. */
function unclear({ id, ok, error }: Response, { secrets }: FuzzTarget): string[] {
  if (id === "hello" || ok) return [];
  const { code, message } = error ?? {};
  if (typeof code !== "string" || !CODES.has(code)) return [`an error with the code ${JSON.stringify(code)}`];
  if (typeof message !== "string" || message === "") return [`an error without a message (${code})`];
  if (message.length > 2_000) return [`an error of ${message.length} characters`];
  const text = JSON.stringify(error);
  if (message === "internal error") return [`an internal error: ${text}`];
  if (INSIDES.test(message) || secrets.some((secret) => text.includes(secret)))
    return [`an error that tells too much: ${text}`];
  return [];
}
