import type { AgentId, RunId, SessionKey, TenantId } from "./ids.ts";
import type { RunEvent, RunEventBody } from "./run-event.ts";
import type { FencingToken } from "./run.ts";

/** What all events of a segment share; written once instead of once per event. */
interface SegmentHeader {
  readonly tenant: TenantId;
  readonly sessionKey: SessionKey;
  readonly agentId: AgentId;
  readonly runId: RunId;
  readonly token: FencingToken;
}

/** One event without what its header says: `[runSeq, at, body]`. */
type PackedEvent = readonly [number, number, RunEventBody];

/** Neighbouring events of one run under one token: what a bus stores and sends as a unit. */
export interface EventSegment {
  readonly runId: RunId;
  readonly token: FencingToken;
  /** JSON of the header. */
  readonly header: string;
  /** runSeq and JSON of each event, in order; kept apart so that a store can leave out those it has. */
  readonly events: readonly { readonly runSeq: number; readonly json: string }[];
}

/** Cuts a batch of one session, in order, where the run or its grant changes. */
export function segmentsOf(events: readonly RunEvent[]): EventSegment[] {
  const segments: EventSegment[] = [];
  let first: RunEvent | undefined;
  let packed: { runSeq: number; json: string }[] = [];
  for (const event of events) {
    if (!first || !sameSegment(first, event)) {
      first = event;
      packed = [];
      segments.push({ runId: event.runId, token: event.token, header: headerOf(event), events: packed });
    }
    const item: PackedEvent = [event.runSeq, event.at, event.body];
    packed.push({ runSeq: event.runSeq, json: JSON.stringify(item) });
  }
  return segments;
}

/** The segment as one JSON text; `unpackEvents` reads it. */
export function packSegment(segment: EventSegment): string {
  let text = `{"h":${segment.header},"e":[`;
  for (const [i, event] of segment.events.entries()) text += i === 0 ? event.json : `,${event.json}`;
  return `${text}]}`;
}

/**
 * The events of a packed segment, in order.
 * @throws SyntaxError when the text is not JSON; what is JSON was written by `packSegment` or a store's equal
 */
export function unpackEvents(text: string): RunEvent[] {
  const { h, e } = JSON.parse(text) as { h: SegmentHeader; e: PackedEvent[] };
  return e.map(([runSeq, at, body]) => ({ ...h, runSeq, at, body }));
}

const sameSegment = (a: RunEvent, b: RunEvent): boolean =>
  a.runId === b.runId && a.token === b.token && a.agentId === b.agentId;

function headerOf({ tenant, sessionKey, agentId, runId, token }: RunEvent): string {
  const header: SegmentHeader = { tenant, sessionKey, agentId, runId, token };
  return JSON.stringify(header);
}
