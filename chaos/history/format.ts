import { z } from "zod";

/**
 * The recorded history of one chaos run: a file of JSON lines, `history.jsonl`, in the order in which things happened
 * at the recorder. It is written while the run goes on and judged afterwards, so that it can be judged again, by later
 * validators too. The first line is the header; the last one is `end`: a file without it was cut off.
 *
 * Times (`at`) are milliseconds since the start of the run by one monotonic clock, that of the recording process.
 * What a client does on the wire is an operation with an `invoke` and at most one `complete`; a repetition under the
 * same key is an operation of its own. An operation whose answer never came is completed as `lost`: it may or may not
 * have taken effect.
 *
 * A field is only ever added; what must change its meaning raises the version, and older versions are refused.
 */
export const HISTORY_VERSION = 1;

const at = z.number().nonnegative();
const tenant = z.string();

/** Opens the file. */
const header = z.object({
  type: z.literal("header"),
  version: z.literal(HISTORY_VERSION),
  scenario: z.string(),
  claim: z.string(),
  /** Everything that the run chose by chance comes from it. */
  seed: z.number(),
  /** `process`, `docker`, or `attach`. */
  target: z.string(),
  /** When the run began, ISO 8601, and the same moment in epoch milliseconds: places the stores' times. */
  startedAt: z.string(),
  startedAtMs: z.number(),
  gateways: z.number(),
  workers: z.number(),
  /** Tenants of the run; a canary stands in every message of its tenant and must never be seen by another. */
  tenants: z.array(z.object({ id: tenant, canary: z.string() })),
  /** The planted bug of the build that was run; null for the real one. */
  plantedBug: z.string().nullable(),
  /** What to type to run it again. */
  command: z.string(),
});

/** What a client asks for. */
const METHODS = [
  "send",
  "agent",
  "abort",
  "history",
  "follow",
  "patch",
  "reset",
  "delete",
  "wait",
  "list",
  "cron",
] as const;

const invoke = z.object({
  type: z.literal("invoke"),
  at,
  /** Unique in the file. */
  op: z.number(),
  method: z.enum(METHODS),
  client: z.string(),
  connection: z.number(),
  gateway: z.string(),
  tenant,
  sessionKey: z.string(),
  /** Idempotency key, which names the run: of sends, and of what is asked about a run. */
  key: z.string().nullable(),
  /** The user's text as sent, directives included; sends only. */
  text: z.string().nullable(),
  /** What the answer must repeat: the text without directives; sends only. */
  words: z.string().nullable(),
  queueMode: z.string().nullable(),
  /** `plain`, or why it is no ordinary send: `duplicate`, `conflict` (same key, other words), `tool`, `large`… */
  intent: z.string(),
});

const complete = z.object({
  type: z.literal("complete"),
  at,
  op: z.number(),
  /** `ok` answered, `refused` with an error of the gateway, `lost` without an answer. */
  outcome: z.enum(["ok", "refused", "lost"]),
  /** Of a send: `started` when this request made the run, otherwise how the run stood. */
  status: z.string().nullable(),
  runId: z.string().nullable(),
  error: z
    .object({
      code: z.string(),
      message: z.string(),
      retryable: z.boolean(),
      retryAfterMs: z.number().nullable(),
    })
    .nullable(),
  /** Of `history`: the rows that were answered, oldest first. */
  rows: z.array(z.object({ role: z.string(), text: z.string(), seq: z.number() })).nullable(),
});

/** A `chat` event as one connection heard it. */
const chat = z.object({
  type: z.literal("chat"),
  at,
  client: z.string(),
  connection: z.number(),
  tenant,
  sessionKey: z.string(),
  runId: z.string(),
  state: z.enum(["status", "delta", "final", "aborted", "error"]),
  runSeq: z.number(),
  delta: z.string().nullable(),
  replace: z.boolean(),
  /** The whole text as the event itself tells it. */
  text: z.string().nullable(),
  error: z.string().nullable(),
});

const connection = z.object({
  type: z.literal("connection"),
  at,
  client: z.string(),
  connection: z.number(),
  gateway: z.string(),
  tenant,
  state: z.enum(["open", "closed"]),
  /** WebSocket close code. */
  code: z.number().nullable(),
});

/**
 * A fault on its way: `injected` when it was done, `shown` with the evidence that it really happened (a process gone,
 * a connection refused, a counter of the proxy), `healed` when it was taken back, `failed` when it could not be done.
 */
const fault = z.object({
  type: z.literal("fault"),
  at,
  id: z.string(),
  /** `kill`, `pause`, `terminate`, `flush`, `latency`, … */
  kind: z.string(),
  /** The instance, store or link: `worker-2`, `postgres`, `gateway-1→redis`. */
  subject: z.string(),
  phase: z.enum(["injected", "shown", "healed", "failed"]),
  detail: z.string(),
});

/** An instance or store changed, as the target sees it. */
const instance = z.object({
  type: z.literal("instance"),
  at,
  id: z.string(),
  state: z.string(),
  pid: z.number().nullable(),
});

/** The lease of a session changed hands, as a watcher of Postgres saw it: not every change is seen, order is. */
const lease = z.object({
  type: z.literal("lease"),
  at,
  tenant,
  sessionKey: z.string(),
  token: z.number(),
  worker: z.string().nullable(),
  runId: z.string().nullable(),
});

/** A frame, whatever it was, in which a client read the canary of another tenant. */
const leak = z.object({
  type: z.literal("leak"),
  at,
  client: z.string(),
  connection: z.number(),
  tenant,
  canary: z.string(),
  /** Its beginning. */
  frame: z.string(),
});

/** For readers: phases of the run, what was waited for. */
const note = z.object({ type: z.literal("note"), at, text: z.string() });

/** Closes the file. `settled`: every run that was acknowledged had ended before it was closed. */
const end = z.object({ type: z.literal("end"), at, records: z.number(), settled: z.boolean() });

export const historyRecord = z.discriminatedUnion("type", [
  header,
  invoke,
  complete,
  chat,
  connection,
  fault,
  instance,
  lease,
  leak,
  note,
  end,
]);

export type HistoryRecord = z.infer<typeof historyRecord>;
export type RecordOf<T extends HistoryRecord["type"]> = Extract<HistoryRecord, { type: T }>;
export type Method = (typeof METHODS)[number];

/** A history in memory. Everything but header and end, in the order of the file. */
export interface History {
  readonly header: RecordOf<"header">;
  readonly records: readonly HistoryRecord[];
  readonly end: RecordOf<"end">;
}

/** How a message names itself to the model: its key in its first words. */
export const markOf = (key: string): string => `<${key}>`;

/** What the subagent of a message is called: the announcement of its end names it, and its answer repeats it. */
export const subagentOf = (key: string): string => `subagent-of-${key}`;
