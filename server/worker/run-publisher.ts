import { asHAError, isHAError } from "../core/errors.ts";
import type { RunId } from "../core/ids.ts";
import { isTerminalEvent, type ModelName, type RunEventBody } from "../core/run-event.ts";
import type { Clock } from "../ports/clock.ts";
import type { EventBus } from "../ports/event-bus.ts";
import type { Logger } from "../ports/logger.ts";
import { backoffMs, type Random } from "../ports/random.ts";
import { type EventOutbox, eventOutbox, type StreamOwner } from "./event-outbox.ts";
import type { WorkerCounters } from "./metrics.ts";

/** Text is collected this long after the first piece: what OpenClaw's own gateway does, and what a reader can follow. */
export const COALESCE_MS = 75;
/** Rounds in which a finished run's last events are tried; about five seconds with the back-off. */
const TRIES_AFTER_END = 6;
/** Runs in one round trip. */
const MAX_STREAMS_PER_ROUND = 256;
const BACKOFF_BASE_MS = 150;
const BACKOFF_CAP_MS = 2_000;

export interface RunPublisherDeps {
  readonly bus: EventBus;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly counters: WorkerCounters;
}

/** What one attempt of a run tells its followers. Nothing here waits, throws or can fail the run. */
export interface RunStream {
  /** A terminal event closes the stream: what comes later is dropped. */
  emit(body: RunEventBody): void;
  /** The lease is lost: nothing more is said, not even what waits already. */
  abandon(): void;
  /** The whole text as it now stands. */
  text(): string;
}

/** Publishes the events of all runs of this worker. */
export interface RunPublisher {
  open(owner: StreamOwner, started: { readonly text: string; readonly model?: ModelName }): RunStream;
  /** Tells the end of a run whose message has joined the turn of `into`: its only event, an empty final. */
  merged(into: StreamOwner, run: RunId, how: "steered" | "collected"): void;
  /** Resolves when nothing waits any more, or after `withinMs`. */
  flush(withinMs: number): Promise<void>;
}

interface Stream {
  /** In order of opening, which is the order of tokens within a session. */
  readonly place: number;
  readonly outbox: EventOutbox;
  /** The terminal event is in the outbox, or the stream was silenced. */
  ended: boolean;
  silent: boolean;
  /** The first text has been sent on its way. */
  spoken: boolean;
  triesAfterEnd: number;
}

/**
 * One ticker and one call under way for all runs of the worker.
 *
 * A run's first piece of text leaves at the end of the event loop's turn, together with its `started` and `message`
 * events; later pieces are collected for COALESCE_MS; the end leaves at once, with all that waits. While the bus is
 * away a run's text goes on growing here, and followers get it whole when the bus is back.
 */
export function runPublisher(deps: RunPublisherDeps): RunPublisher {
  const { bus, clock, random, logger, counters } = deps;
  /** Streams with something to say: those that wait for the tick, and those that do not. */
  const patient = new Set<Stream>();
  const urgent = new Set<Stream>();
  let opened = 0;
  let publishing = false;
  let ticking = false;
  let turnScheduled = false;
  /** Rounds failed in a row; above zero only the back-off starts a round. */
  let failedRounds = 0;
  let onIdle: (() => void)[] = [];

  const wake = (): void => {
    if (publishing || failedRounds > 0) return;
    if (urgent.size > 0 && !turnScheduled) {
      turnScheduled = true;
      setImmediate(() => {
        turnScheduled = false;
        if (!publishing && failedRounds === 0) void round(urgent);
      });
    }
    if (patient.size > 0 && !ticking) {
      ticking = true;
      void tick();
    }
    if (patient.size === 0 && urgent.size === 0) {
      for (const resolve of onIdle) resolve();
      onIdle = [];
    }
  };

  const tick = async (): Promise<void> => {
    await clock.sleep(COALESCE_MS);
    ticking = false;
    for (const stream of patient) urgent.add(stream);
    patient.clear();
    wake();
  };

  /** Publishes what the streams have; never rejects. There is never more than one under way. */
  const round = async (from: Set<Stream>): Promise<void> => {
    publishing = true;
    const streams = [...from].sort((a, b) => a.place - b.place).slice(0, MAX_STREAMS_PER_ROUND);
    for (const stream of streams) from.delete(stream);
    const speaking = streams.filter((stream) => !stream.outbox.isEmpty());
    const unsent = speaking.length > 0 ? await send(speaking) : [];
    publishing = false;
    if (unsent.length > 0) void retry(unsent);
    else failedRounds = 0;
    wake();
  };

  /** Answers the streams whose events may not have arrived. */
  const send = async (streams: readonly Stream[]): Promise<readonly Stream[]> => {
    const now = clock.now();
    try {
      const answers = await bus.publishMany(streams.map((stream) => stream.outbox.batch(now)));
      counters.publishes++;
      for (const [i, stream] of streams.entries()) settle(stream, answers[i] ?? "published");
      return [];
    } catch (error) {
      counters.publishFailures++;
      if (isHAError(error, "STORE_UNAVAILABLE")) return streams;
      const { code, message } = asHAError(error);
      logger.error("worker.events_refused", { streams: streams.length, code, message });
      const [only] = streams;
      if (streams.length === 1 && only !== undefined) {
        silence(only); // its numbers are given: leaving some out would be a gap
        return [];
      }
    }
    // Something in one run's events cannot be sent, and the others must not suffer for it.
    const unsent: Stream[] = [];
    for (const stream of streams) unsent.push(...(await send([stream])));
    return unsent;
  };

  const settle = (stream: Stream, answer: "published" | "fenced"): void => {
    if (answer === "fenced") {
      counters.publishFenced++;
      silence(stream);
      return;
    }
    stream.outbox.confirm();
    if (!stream.silent && !stream.outbox.isEmpty()) (stream.ended ? urgent : patient).add(stream);
  };

  const retry = async (unsent: readonly Stream[]): Promise<void> => {
    if (failedRounds++ === 0) logger.warn("worker.bus_away", { streams: unsent.length });
    for (const stream of unsent) {
      stream.outbox.doubt();
      if (stream.ended && ++stream.triesAfterEnd >= TRIES_AFTER_END) {
        counters.endsUnpublished++; // followers read Postgres
      } else if (!stream.silent) patient.add(stream);
    }
    await clock.sleep(backoffMs(random, failedRounds, BACKOFF_BASE_MS, BACKOFF_CAP_MS));
    for (const stream of urgent) patient.add(stream);
    urgent.clear();
    await round(patient);
  };

  const silence = (stream: Stream): void => {
    stream.ended = true;
    stream.silent = true;
    patient.delete(stream);
    urgent.delete(stream);
  };

  const newStream = (outbox: EventOutbox): Stream => ({
    place: opened++,
    outbox,
    ended: false,
    silent: false,
    spoken: false,
    triesAfterEnd: 0,
  });

  return {
    merged({ tenant, sessionKey, agentId, runId, token }, run, how) {
      const stream = newStream(
        eventOutbox({ tenant, sessionKey, agentId, runId: run, token, attempt: 1 }, null),
      );
      stream.outbox.push({ type: "final", text: "", stopReason: how, mergedInto: runId });
      stream.ended = true;
      urgent.add(stream);
      wake();
    },
    open(owner, started) {
      const stream = newStream(eventOutbox(owner, started));
      patient.add(stream);
      wake();
      return {
        emit(body) {
          if (stream.ended) return;
          stream.outbox.push(body);
          const end = isTerminalEvent(body);
          if (end) stream.ended = true;
          if (end || (body.type === "delta" && !stream.spoken)) {
            stream.spoken = true;
            patient.delete(stream);
            urgent.add(stream);
          } else if (!urgent.has(stream)) patient.add(stream);
          wake();
        },
        abandon: () => silence(stream),
        text: () => stream.outbox.text(),
      };
    },
    async flush(withinMs) {
      const settled = new AbortController();
      const idle = new Promise<void>((resolve) => onIdle.push(resolve));
      wake();
      await Promise.race([idle, clock.sleep(withinMs, settled.signal)]);
      settled.abort();
    },
  };
}
