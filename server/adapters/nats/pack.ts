import { type EventSegment, packSegment, segmentsOf } from "../../core/event-batch.ts";
import type { RunEvent } from "../../core/run-event.ts";

/** One message, and the last event in it. */
export interface PackedSegment extends Pick<EventSegment, "token" | "runId"> {
  readonly text: string;
  readonly lastSeq: number;
}

export interface PackedBatch {
  readonly messages: readonly PackedSegment[];
  /** runSeq of events that no message can carry: they are left out, and followers find a gap. */
  readonly tooLarge: readonly number[];
}

/** For the headers that count as part of a message. */
const HEADER_BYTES = 1_024;

/** Packs a batch of one session into as few messages as the server's `max_payload` allows. */
export function packWithin(events: readonly RunEvent[], maxPayload: number): PackedBatch {
  const messages: PackedSegment[] = [];
  const tooLarge: number[] = [];
  const pack = (segment: EventSegment): void => {
    const text = packSegment(segment);
    const last = segment.events.at(-1);
    if (last === undefined) return;
    if (Buffer.byteLength(text) + HEADER_BYTES <= maxPayload) {
      messages.push({ token: segment.token, runId: segment.runId, text, lastSeq: last.runSeq });
    } else if (segment.events.length === 1) {
      tooLarge.push(last.runSeq);
    } else {
      const middle = Math.ceil(segment.events.length / 2);
      pack({ ...segment, events: segment.events.slice(0, middle) });
      pack({ ...segment, events: segment.events.slice(middle) });
    }
  };
  for (const segment of segmentsOf(events)) pack(segment);
  return { messages, tooLarge };
}
