import {
  DiscardPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  JetStreamError,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
  type StoredMsg,
  type StreamConfig,
} from "@nats-io/jetstream";
import { type NatsConnection, RequestError } from "@nats-io/transport-node";
import { unpackEvents } from "../../core/event-batch.ts";
import type { RunId, SessionKey, TenantId } from "../../core/ids.ts";
import type { RunEvent } from "../../core/run-event.ts";
import type { FencingToken } from "../../core/run.ts";
import { packWithin } from "./pack.ts";
import type { Subjects } from "./subjects.ts";

export interface HistorySettings {
  readonly stream: string;
  readonly subjects: Subjects;
  /** Messages kept of a session. */
  readonly entries: number;
  /** Age at which a message is dropped. */
  readonly ms: number;
  /** Memory of the server for all sessions together; the oldest messages go first. */
  readonly bytes: number;
  readonly timeoutMs: number;
  /** Events are larger than the server takes in one message; they were left out. */
  onTooLarge(runSeqs: readonly number[]): void;
}

/** What is kept of the sessions, in a JetStream stream in memory. */
export interface History {
  /** As EventBus.publish. Publications of a session are decided one after the other. */
  publish(events: readonly RunEvent[]): Promise<"published" | "fenced">;
  /** Every kept event of the run, in order. */
  read(tenant: TenantId, sessionKey: SessionKey, runId: RunId): Promise<RunEvent[]>;
}

/** What this process knows of the newest message of a session. */
interface Head {
  /** Its number in the stream: the next write succeeds only on top of it. 0: there is none. */
  seq: number;
  token: FencingToken;
  /** Last runSeq of the runs under that token, as far as known. */
  readonly lastSeq: Map<RunId, number>;
}

/** Sessions whose head is remembered; another one costs one more request at its next write. */
const MAX_HEADS = 10_000;
/** Of one publication, when other processes write to the session at the same moment. */
const MAX_TRIES = 5;
const READ_BATCH = 500;
/** NATS' own default; the server tells its own in the handshake. */
const DEFAULT_MAX_PAYLOAD = 1_048_576;
const NANOS_PER_MS = 1_000_000;
/** "stream name already in use with a different configuration" */
const STREAM_NAME_IN_USE = 10_058;

/**
 * Creates the stream where it is missing (the server lost it: it is in memory only) and opens it.
 * @throws Error when the server has no JetStream, or none for this account
 */
export async function openHistory(connection: NatsConnection, settings: HistorySettings): Promise<History> {
  const manager = await jetstreamManager(connection, { timeout: settings.timeoutMs });
  await ensureStream(manager, settings);
  return history(connection, manager, settings);
}

async function ensureStream(manager: JetStreamManager, settings: HistorySettings): Promise<void> {
  const { subjects, stream } = settings;
  const config: Partial<StreamConfig> & { name: string } = {
    name: stream,
    subjects: [subjects.allKept],
    retention: RetentionPolicy.Limits,
    storage: StorageType.Memory,
    discard: DiscardPolicy.Old,
    max_msgs_per_subject: settings.entries,
    max_age: settings.ms * NANOS_PER_MS,
    max_bytes: settings.bytes,
    allow_direct: true,
    // Followers hear what the stream has taken, and nothing that it has refused.
    republish: { src: subjects.allKept, dest: subjects.allLive },
  };
  try {
    await manager.streams.add(config);
  } catch (error) {
    if (!(error instanceof JetStreamApiError) || error.code !== STREAM_NAME_IN_USE) throw error;
    await manager.streams.update(stream, config); // made by a process with other settings
  }
}

function history(connection: NatsConnection, manager: JetStreamManager, settings: HistorySettings): History {
  const { subjects, stream, timeoutMs } = settings;
  const client = jetstream(connection, { timeout: timeoutMs });
  /** In order of use. */
  const heads = new Map<string, Head>();
  /** Last publication of each session under way. */
  const underWay = new Map<string, Promise<unknown>>();

  const readAll = async (subject: string): Promise<RunEvent[]> => {
    const events: RunEvent[] = [];
    for (let seq = 1; ;) {
      const { found, pending } = await readBatch(subject, seq);
      for (const message of found) events.push(...unpackEvents(message.string()));
      if (pending <= 0) return events;
      seq = found.at(-1)!.seq + 1;
    }
  };

  /** Messages of the session from a number on, and how many come after them. */
  const readBatch = async (
    subject: string,
    seq: number,
  ): Promise<{ found: StoredMsg[]; pending: number }> => {
    const found: StoredMsg[] = [];
    try {
      const query = { seq, batch: READ_BATCH, next_by_subj: subject };
      for await (const message of await manager.direct.getBatch(stream, query)) found.push(message);
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    return { found, pending: found.at(-1)?.pending ?? 0 };
  };

  const loadHead = async (subject: string): Promise<Head> => {
    const newest = await manager.direct.getMessage(stream, { last_by_subj: subject });
    const last = newest === null ? undefined : unpackEvents(newest.string()).at(-1);
    if (newest === null || last === undefined) return { seq: 0, token: 0, lastSeq: new Map() };
    return { seq: newest.seq, token: last.token, lastSeq: new Map([[last.runId, last.runSeq]]) };
  };

  const remember = (subject: string, head: Head): void => {
    heads.delete(subject);
    heads.set(subject, head);
    if (heads.size <= MAX_HEADS) return;
    const [oldest] = heads.keys();
    heads.delete(oldest!);
  };

  /** The events that are not kept yet. */
  const freshOf = async (subject: string, head: Head, events: readonly RunEvent[]): Promise<RunEvent[]> => {
    const current = events.filter(({ token }) => token >= head.token);
    // A token is granted for one run, so this happens only where a writer repeats itself late.
    const unknown = current.some(({ token, runId }) => token === head.token && !head.lastSeq.has(runId));
    if (head.seq > 0 && unknown) {
      for (const { token, runId, runSeq } of await readAll(subject)) {
        if (token === head.token) head.lastSeq.set(runId, runSeq);
      }
    }
    return current.filter(
      ({ token, runId, runSeq }) => token > head.token || runSeq > (head.lastSeq.get(runId) ?? 0),
    );
  };

  /** Writes on top of the head, which is moved with each message. */
  const write = async (subject: string, head: Head, events: readonly RunEvent[]): Promise<void> => {
    const { messages, tooLarge } = packWithin(events, connection.info?.max_payload ?? DEFAULT_MAX_PAYLOAD);
    if (tooLarge.length > 0) settings.onTooLarge(tooLarge);
    for (const { text, token, runId, lastSeq } of messages) {
      const ack = await client.publish(subject, text, {
        timeout: timeoutMs,
        expect: { lastSubjectSequence: head.seq },
      });
      head.seq = ack.seq;
      if (token > head.token) {
        head.token = token;
        head.lastSeq.clear();
      }
      head.lastSeq.set(runId, lastSeq);
    }
  };

  const decide = async (subject: string, events: readonly RunEvent[]): Promise<"published" | "fenced"> => {
    const head = heads.get(subject) ?? (await loadHead(subject));
    // Forgotten while it is written on: after an unknown outcome the store is asked again.
    heads.delete(subject);
    const fenced = events.every(({ token }) => token < head.token);
    if (!fenced) await write(subject, head, await freshOf(subject, head, events));
    remember(subject, head);
    return fenced ? "fenced" : "published";
  };

  const publishNow = async (
    subject: string,
    events: readonly RunEvent[],
  ): Promise<"published" | "fenced"> => {
    for (let tries = 1; ; tries++) {
      try {
        return await decide(subject, events);
      } catch (error) {
        if (tries >= MAX_TRIES) throw error;
        if (isStreamGone(error)) await ensureStream(manager, settings);
        else if (!isWrongLastSequence(error)) throw error; // else another process has written: look again
      }
    }
  };

  return {
    async publish(events) {
      const [first] = events;
      if (!first) return "published";
      const subject = subjects.kept(first.tenant, first.sessionKey);
      const before = underWay.get(subject) ?? Promise.resolve();
      const mine = before.then(() => publishNow(subject, events));
      const settled = mine.then(
        () => undefined,
        () => undefined,
      );
      underWay.set(subject, settled);
      try {
        return await mine;
      } finally {
        if (underWay.get(subject) === settled) underWay.delete(subject);
      }
    },

    async read(tenant, sessionKey, runId) {
      const events = await readAll(subjects.kept(tenant, sessionKey));
      return events.filter((event) => event.runId === runId);
    },
  };
}

const isWrongLastSequence = (error: unknown): boolean =>
  error instanceof JetStreamApiError &&
  (error.code === JetStreamApiCodes.StreamWrongLastSequence ||
    error.code === JetStreamApiCodes.StreamWrongLastSequenceUnknown);

/** A direct read answers with a bare status where nothing matches. */
const isNotFound = (error: unknown): boolean =>
  error instanceof JetStreamError && "code" in error && error.code === 404;

/** Nobody answers on the stream's subjects: it was deleted. The client wraps that for publications. */
function isStreamGone(error: unknown): boolean {
  const cause = error instanceof Error && error.name === "JetStreamNotEnabled" ? error.cause : error;
  return cause instanceof RequestError && cause.isNoResponders();
}
