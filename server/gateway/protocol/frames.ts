import type { ErrorShape } from "./errors.ts";
import { type TextFrame, textFrame } from "./text-frame.ts";

/** OpenClaw gateway protocol version. */
export const PROTOCOL_VERSION = 4;

export interface RequestFrame {
  readonly id: string;
  readonly method: string;
  readonly params: unknown;
  /** W3C trace context of the sender, as it came. */
  readonly traceparent?: string;
}

/** What one text message of a client turned out to be. */
export type Incoming =
  | { readonly kind: "request"; readonly request: RequestFrame }
  | { readonly kind: "not-json" }
  /** JSON, but no request frame; `id` is the sender's where it can be read. */
  | { readonly kind: "bad"; readonly id: string; readonly why: string };

const REQUEST_FIELDS = new Set(["type", "id", "method", "params", "traceparent", "expectedProfileId"]);
const REQUEST_ID_MAX_LENGTH = 1_024;

/**
 * Reads one text message. The envelope is closed, as in OpenClaw (an unknown top-level field is an error); params
 * are the methods' business.
 */
export function parseFrame(text: string): Incoming {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { kind: "not-json" };
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return { kind: "bad", id: "invalid", why: "must be object" };
  }
  const frame = value as Record<string, unknown>;
  const readable = typeof frame.id === "string" && frame.id.length <= REQUEST_ID_MAX_LENGTH;
  const id = readable ? (frame.id as string) : "invalid";
  const bad = (why: string): Incoming => ({ kind: "bad", id, why });
  for (const field of ["type", "id", "method"]) {
    if (frame[field] === undefined) return bad(`must have required property '${field}'`);
    if (typeof frame[field] !== "string") return bad(`at /${field}: must be string`);
    if (frame[field] === "") return bad(`at /${field}: must not have fewer than 1 characters`);
  }
  if (!readable) return bad(`at /id: must not have more than ${REQUEST_ID_MAX_LENGTH} characters`);
  if (frame.type !== "req") return bad('at /type: must be "req"');
  for (const field of Object.keys(frame)) {
    if (!REQUEST_FIELDS.has(field)) {
      return bad(`at root: unexpected property '${field.slice(0, 80)}'`);
    }
  }
  const { method, params, traceparent } = frame as { method: string; params: unknown; traceparent: unknown };
  const traced = typeof traceparent === "string" ? { traceparent } : {};
  return { kind: "request", request: { id, method, params, ...traced } };
}

export const encodeResult = (id: string, payload: unknown): string =>
  `{"type":"res","id":${JSON.stringify(id)},"ok":true,"payload":${JSON.stringify(payload ?? {})}}`;

/** Some failures carry a payload beside the error, as OpenClaw's `agent` does. */
export const encodeFailure = (id: string, error: ErrorShape, payload?: unknown): string =>
  JSON.stringify({ type: "res", id, ok: false, ...(payload === undefined ? {} : { payload }), error });

/**
 * The frame of an event, complete but for its outer `seq`, which counts the events of one connection. It is encoded
 * once per gateway; blanks keep room for the number, as JSON allows before it.
 */
export type OpenEvent = TextFrame;

/** Digits of the largest safe integer. */
const SEQ_LENGTH = 16;
const SEQ_BLANKS = " ".repeat(SEQ_LENGTH);
const [BLANK, DIGIT_0] = [32, 48];
/** In the place of the number of a frame that has none. */
export const UNNUMBERED = 0;

export const openEvent = (event: string, payload: unknown, extra?: Record<string, unknown>): OpenEvent =>
  textFrame(`${eventHead(event, payload, extra)},"seq":${SEQ_BLANKS}}`);

/** Writes the number of the event whose frame ends before `end` into its room, over another that may stand there. */
export function writeSeq(bytes: Buffer, end: number, seq: number): void {
  const last = end - 2; // before the closing brace
  let at = last;
  for (let rest = seq; rest > 0; rest = Math.floor(rest / 10)) bytes[at--] = DIGIT_0 + (rest % 10);
  while (at > last - SEQ_LENGTH && bytes[at] !== BLANK) bytes[at--] = BLANK;
}

/** An event outside the count: `connect.challenge` carries no seq. */
export const unnumberedEvent = (event: string, payload: unknown): string => `${eventHead(event, payload)}}`;

const eventHead = (event: string, payload: unknown, extra?: Record<string, unknown>): string => {
  const tail = extra === undefined ? "" : `,${JSON.stringify(extra).slice(1, -1)}`;
  return `{"type":"event","event":${JSON.stringify(event)},"payload":${JSON.stringify(payload)}${tail}`;
};

/** WebSocket close reasons hold at most 123 bytes of UTF-8 (RFC 6455, 5.5.1). */
export function closeReason(text: string): string {
  if (Buffer.byteLength(text) <= 123) return text;
  let cut = text.slice(0, 123);
  while (Buffer.byteLength(cut) > 123) cut = cut.slice(0, -1);
  return cut;
}
