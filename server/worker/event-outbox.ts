import type { AgentId, RunId, SessionKey, TenantId } from "../core/ids.ts";
import type { FencingToken } from "../core/run.ts";
import {
  ATTEMPT_STRIDE,
  isTerminalEvent,
  type ModelName,
  type RunEvent,
  type RunEventBody,
  runSeqOf,
} from "../core/run-event.ts";

/** Events after which a `replace` repeats the whole text, so that a capped history can always rebuild it. */
export const REPLACE_EVERY = 256;
/** What waits for an absent bus is dropped beyond these; followers then get the whole text at once. */
const MAX_PENDING_EVENTS = 512;
const MAX_PENDING_CHARS = 512 * 1024;

/** Whose events they are. */
export interface StreamOwner {
  readonly tenant: TenantId;
  readonly sessionKey: SessionKey;
  readonly agentId: AgentId;
  readonly runId: RunId;
  readonly token: FencingToken;
  readonly attempt: number;
}

/**
 * The events of one attempt, between the runtime that emits them and the bus.
 *
 * Numbers are given when a batch is made, so what is coalesced or dropped before leaves no gap. A batch of unknown
 * outcome is given out again, unchanged, until it is confirmed: nothing gets a number after it before.
 */
export interface EventOutbox {
  /** Adds an event; text is coalesced with text that waits. */
  push(body: RunEventBody): void;
  /** The batch to publish now: the unconfirmed one again, or everything that waits, numbered. May be empty. */
  batch(at: number): readonly RunEvent[];
  /** The last batch has arrived. */
  confirm(): void;
  /** The last batch may or may not have arrived: followers get the whole text with the next new batch. */
  doubt(): void;
  isEmpty(): boolean;
  /** The whole text as it now stands, published or not. */
  text(): string;
}

/** @param started what the first event says, or null for a run that has no attempt to tell of, only an end */
export function eventOutbox(
  owner: StreamOwner,
  started: { readonly text: string; readonly model?: ModelName } | null,
): EventOutbox {
  let text = started?.text ?? "";
  /** Text after the last numbered event. */
  let numberedText = "";
  let pending: RunEventBody[] = started === null ? [] : [{ type: "started", ...started }];
  let pendingChars = 0;
  let unconfirmed: readonly RunEvent[] = [];
  let resync = false;
  let n = 0;
  /** Number of the last `started` or `replace`. */
  let anchor = 0;

  const number = (body: RunEventBody, at: number): RunEvent => {
    n++;
    if (body.type === "delta") numberedText += body.text;
    if (body.type === "started" || body.type === "replace") {
      numberedText = body.text;
      anchor = n;
    }
    const { attempt, ...ids } = owner;
    return { ...ids, runSeq: runSeqOf(attempt, n), at, body };
  };

  /** The whole text in place of every change of it that waits. */
  const wholeText = (): RunEventBody[] => {
    const first = pending[0];
    const anew: RunEventBody = first?.type === "started" ? { ...first, text } : { type: "replace", text };
    return [anew, ...pending.filter((body) => !isText(body))];
  };

  const push = (body: RunEventBody): void => {
    if (body.type === "delta") text += body.text;
    if (body.type === "replace") text = body.text;
    pendingChars += charsOf(body);
    const last = pending.at(-1);
    if ((body.type === "delta" || body.type === "thinking") && last?.type === body.type) {
      pending[pending.length - 1] = { type: body.type, text: last.text + body.text };
    } else pending.push(body);
    if (pending.length <= MAX_PENDING_EVENTS && pendingChars <= MAX_PENDING_CHARS) return;
    // Whoever follows reads rows and results from the store; the text comes whole.
    pending = pending.filter((kept) => kept.type === "started" || isTerminalEvent(kept));
    pendingChars = 0;
    resync = true;
  };

  return {
    push(body) {
      // What followers hold at the end is the result's text, whatever the runtime has emitted.
      if ((body.type === "final" || body.type === "aborted") && body.text !== text) {
        push({ type: "replace", text: body.text });
      }
      push(body);
    },
    batch(at) {
      if (unconfirmed.length > 0) return unconfirmed;
      const bodies = resync ? wholeText() : pending;
      const events: RunEvent[] = [];
      for (const body of bodies) {
        // The last numbers of an attempt are for its end: a run that talks for a day falls silent, but ends.
        if (n >= ATTEMPT_STRIDE - 16 && !isTerminalEvent(body)) continue;
        if (n - anchor >= REPLACE_EVERY && body.type !== "replace" && n > 0) {
          events.push(number({ type: "replace", text: numberedText }, at));
        }
        events.push(number(body, at));
      }
      pending = [];
      pendingChars = 0;
      resync = false;
      unconfirmed = events;
      return events;
    },
    confirm: () => void (unconfirmed = []),
    doubt: () => void (resync = true),
    isEmpty: () => unconfirmed.length === 0 && pending.length === 0,
    text: () => text,
  };
}

const isText = (body: RunEventBody): boolean =>
  body.type === "started" || body.type === "replace" || body.type === "delta";

/** About the characters that an event holds in memory while it waits. */
function charsOf(body: RunEventBody): number {
  switch (body.type) {
    case "started":
    case "replace":
    case "delta":
    case "thinking":
    case "final":
    case "aborted":
      return body.text.length;
    case "message": {
      const { body: stored } = body.row;
      const content = "inline" in stored ? stored.inline.content : "";
      return 500 + (typeof content === "string" ? content.length : 4_096);
    }
    case "tool":
      return 4_096; // an order of size: measuring would mean serialising it twice
    case "usage":
    case "compaction":
    case "error":
      return 200;
    default:
      return body satisfies never;
  }
}
