import { Counter, Trend } from "k6/metrics";
import type { Failure } from "./failure.ts";

/** Tags of a sample: the group of its client, the phase in which its message was due. */
export interface Tags {
  readonly class: string;
  readonly phase: string;
}

/**
 * What the report is made of. Times are whole milliseconds by the generator's clock, counted from the moment a message
 * was due, whether or not it could be sent then: a stall counts for everybody who had to wait.
 */
const trends = {
  /** Due → acknowledged. */
  ack: new Trend("oc_ack", true),
  /** Due → first piece of the answer. */
  firstDelta: new Trend("oc_first_delta", true),
  /** Due → terminal event with the right text. */
  endToEnd: new Trend("oc_end_to_end", true),
  /** Acknowledged → a worker has the run. */
  queueWait: new Trend("oc_queue_wait", true),
  /** Connection broken → first event, over the next one, of a run that was under way. */
  reconnectGap: new Trend("oc_reconnect_gap", true),
  /** chat.history: asked → answered. */
  history: new Trend("oc_history", true),
  /** chat.abort: asked → the run's terminal event. */
  abort: new Trend("oc_abort", true),
  /** WebSocket opened → let in. */
  connect: new Trend("oc_connect", true),
  /** Due → handed to the socket while connected: how late the generator itself is. */
  lag: new Trend("oc_lag", true),
} as const;

const requests = new Counter("oc_requests");
const errors = new Counter("oc_errors");
const sent = new Counter("oc_sent");
const ended = new Counter("oc_ended");
const clients = new Counter("oc_clients");

export const observe = (name: keyof typeof trends, ms: number, tags: Tags): void =>
  trends[name].add(Math.max(0, ms), { ...tags });

/** One request that is made: a connection, a send with its run, a read, an abort, a probe. At most one failure each. */
export const countRequest = (op: string, tags: Tags): void => requests.add(1, { ...tags, op });

export const countFailure = ({ kind, reason }: Failure, op: string, tags: Tags): void =>
  errors.add(1, { ...tags, op, kind, reason });

export const countSent = (tags: Tags): void => sent.add(1, { ...tags });
export const countEnded = (tags: Tags): void => ended.add(1, { ...tags });

/** A client has come to its end. k6 ends well also when a script throws: clients that are missing here tell it. */
export const countClient = (tags: Tags): void => clients.add(1, { ...tags });
