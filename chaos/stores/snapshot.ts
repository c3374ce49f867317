import { z } from "zod";

/**
 * What the stores hold when a run is over: `stores.json` beside the history. The server's side of the evidence; the
 * validators compare it with what clients saw. Times are epoch milliseconds by the database's or the model's clock.
 */
export const SNAPSHOT_VERSION = 1;

const tenant = z.string();
const run = z.object({
  tenant,
  runId: z.string(),
  sessionKey: z.string(),
  /** Order of acknowledgement within the session. */
  runOrder: z.number(),
  status: z.string(),
  attempt: z.number(),
  failures: z.number(),
  /** Of the newest grant under which it was written. */
  token: z.number(),
  text: z.string().nullable(),
  /** The run in whose turn the message was answered; null for one with a turn of its own. */
  mergedInto: z.string().nullable().default(null),
  error: z.string().nullable(),
  acceptedAt: z.number(),
  startedAt: z.number().nullable(),
  endedAt: z.number().nullable(),
});

/** A row of a transcript; sealed rows are read back from their segments. */
const row = z.object({
  tenant,
  sessionKey: z.string(),
  seq: z.number(),
  messageId: z.string(),
  parentId: z.string().nullable(),
  runId: z.string().nullable(),
  role: z.string(),
  text: z.string(),
});

const lease = z.object({
  tenant,
  sessionKey: z.string(),
  token: z.number(),
  worker: z.string().nullable(),
  queued: z.number(),
  ready: z.boolean(),
});

const step = z.object({
  tenant,
  runId: z.string(),
  stepNo: z.number(),
  kind: z.string(),
  toolCallId: z.string().nullable(),
  toolName: z.string().nullable(),
  idempotent: z.boolean().nullable(),
  token: z.number(),
});

/** One call of the model as the demo model saw it; its orders place starts and ends, no clock does. */
const call = z.object({
  session: z.string(),
  text: z.string(),
  startOrder: z.number(),
  endOrder: z.number().nullable(),
  startedAt: z.number(),
  endedAt: z.number().nullable(),
  status: z.number().nullable(),
  aborted: z.boolean(),
});

/** A side effect of a tool, as the tool itself wrote it down. */
const effect = z.object({ tenant, runId: z.string(), toolCallId: z.string() });

/** A canary found where it must not be: an object, a log or a queue of another tenant. */
const foreign = z.object({ where: z.string(), tenant, canary: z.string() });

export const storesSnapshot = z.object({
  version: z.literal(SNAPSHOT_VERSION),
  takenAt: z.number(),
  runs: z.array(run),
  rows: z.array(row),
  leases: z.array(lease),
  steps: z.array(step),
  idempotency: z.array(z.object({ tenant, key: z.string(), sessionKey: z.string() })),
  calls: z.array(call),
  /** What tools really did, each time they did it; only where a test build has tools that write it down. */
  effects: z.array(effect).optional(),
  foreign: z.array(foreign),
  /** Sessions that the queue still holds as waiting or taken although nothing is open. */
  queueLeft: z.number(),
});

export type StoresSnapshot = z.infer<typeof storesSnapshot>;
export type StoredRun = StoresSnapshot["runs"][number];
export type StoredRow = StoresSnapshot["rows"][number];
export type StoredCall = StoresSnapshot["calls"][number];
