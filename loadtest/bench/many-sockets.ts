import { setTimeout as wait } from "node:timers/promises";
import { serveParent } from "./child-program.ts";
import { openRawSocket, type RawSocket } from "./raw-socket.ts";

/** What the process with the sockets is asked. */
export type SocketsRequest =
  /** Opens sockets; with a token they connect as readers of everything, without one the server is no gateway. */
  | {
      readonly do: "open";
      readonly port: number;
      readonly token: string | null;
      readonly sockets: number;
      /** Addresses that they come from in turn: one has 28,000 ports towards a server. */
      readonly from?: readonly string[];
    }
  /** Forgets what was heard so far. */
  | { readonly do: "begin" }
  /** What was heard since. */
  | { readonly do: "report" }
  /** Every socket asks for something; how many have an answer. */
  | { readonly do: "ask" }
  | { readonly do: "close" };

/** One text of one run, as it reached the sockets of this process: when the last of them had it. */
export interface Heard {
  readonly run: string;
  readonly runSeq: number;
  readonly sockets: number;
  /** Epoch milliseconds. */
  readonly lastAt: number;
}

export interface SocketsReport {
  /** Over all sockets. */
  readonly events: number;
  readonly eventBytes: number;
  readonly deltas: readonly Heard[];
  readonly ends: readonly Heard[];
  /** CPU seconds of this process. */
  readonly cpuSeconds: number;
  /** Sockets that the server has closed. */
  readonly closed: number;
}

export type SocketsAnswer = SocketsReport | number | null;

const ANSWERS_MS = 30_000;
const CHAT = Buffer.from('{"type":"event","event":"chat"');
const EVENT = Buffer.from('{"type":"event"');
const now = (): number => performance.timeOrigin + performance.now();

interface Seen {
  sockets: number;
  lastAt: number;
}

let sockets: RawSocket[] = [];
let answers = 0;
let events = 0;
let eventBytes = 0;
let closed = 0;
let cpu = process.cpuUsage();
/** By run and, within it, number. */
let deltas = new Map<string, Map<number, Seen>>();
let ends = new Map<string, Map<number, Seen>>();

const starts = (bytes: Buffer, start: number, text: Buffer): boolean =>
  bytes.compare(text, 0, text.length, start, start + text.length) === 0;

/** Where a field's value begins in `text`. */
const valueOf = (text: string, field: string): number => {
  const at = text.indexOf(field);
  if (at < 0) throw new Error(`no ${field} in the first bytes of an event: ${text}`);
  return at + field.length;
};

function hear(bytes: Buffer, start: number, known: number, length: number): void {
  if (!starts(bytes, start, EVENT)) return;
  events++;
  eventBytes += length;
  if (!starts(bytes, start, CHAT)) return;
  const text = bytes.toString("latin1", start, start + Math.min(known, 280));
  const runAt = valueOf(text, '"runId":"');
  const run = text.slice(runAt, text.indexOf('"', runAt));
  const seqAt = valueOf(text, '"runSeq":');
  const runSeq = Number.parseInt(text.slice(seqAt, seqAt + 12), 10);
  const state = text.charAt(valueOf(text, '"state":"'));
  if (state === "s") return;
  const kind = state === "d" ? deltas : ends;
  const ofRun = kind.get(run) ?? new Map<number, Seen>();
  kind.set(run, ofRun);
  const seen = ofRun.get(runSeq) ?? { sockets: 0, lastAt: 0 };
  ofRun.set(runSeq, seen);
  seen.sockets++;
  seen.lastAt = now();
}

async function openSocket(port: number, token: string | null, localAddress?: string): Promise<void> {
  const hello = Promise.withResolvers<void>();
  const onText = (bytes: Buffer, start: number, known: number, length: number): void => {
    hear(bytes, start, known, length);
    if (token === null || bytes.toString("latin1", start, start + 12) !== '{"type":"res') return;
    answers++;
    const text = bytes.toString("latin1", start, start + known);
    if (text.includes('"ok":true')) hello.resolve();
    else hello.reject(new Error(text));
  };
  const socket = await openRawSocket({ port, localAddress, onText, onClose: () => closed++ });
  sockets.push(socket);
  if (token === null) return;
  const params = {
    minProtocol: 4,
    maxProtocol: 4,
    client: { id: "gateway-client", version: "1.0.0", platform: "linux", mode: "backend" },
    role: "operator",
    scopes: ["operator.read"],
    auth: { token },
  };
  socket.send(JSON.stringify({ type: "req", id: "1", method: "connect", params }));
  await hello.promise;
}

const listOf = (seen: ReadonlyMap<string, ReadonlyMap<number, Seen>>): Heard[] =>
  [...seen].flatMap(([run, ofRun]) => [...ofRun].map(([runSeq, rest]) => ({ run, runSeq, ...rest })));

/** How many sockets are answered within half a minute. */
async function ask(): Promise<number> {
  answers = 0;
  const text = JSON.stringify({ type: "req", id: "2", method: "last-heartbeat" });
  for (const socket of sockets) socket.send(text);
  for (let waitedMs = 0; answers < sockets.length && waitedMs < ANSWERS_MS; waitedMs += 100) await wait(100);
  return answers;
}

serveParent(async (request: SocketsRequest): Promise<SocketsAnswer> => {
  switch (request.do) {
    case "open":
      while (sockets.length < request.sockets) {
        const batch = Math.min(50, request.sockets - sockets.length);
        const { port, token, from = [] } = request;
        await Promise.all(
          Array.from({ length: batch }, (_, i) => openSocket(port, token, from[i % from.length])),
        );
      }
      return null;
    case "begin":
      events = eventBytes = 0;
      deltas = new Map();
      ends = new Map();
      cpu = process.cpuUsage();
      return null;
    case "report": {
      const { user, system } = process.cpuUsage(cpu);
      const cpuSeconds = (user + system) / 1_000_000;
      return { events, eventBytes, deltas: listOf(deltas), ends: listOf(ends), cpuSeconds, closed };
    }
    case "ask":
      return ask();
    case "close":
      for (const socket of sockets) socket.close();
      sockets = [];
      return null;
    default:
      return request satisfies never;
  }
});
