import { mediaOf } from "./media.ts";
import { INLINE_BODY_MAX_BYTES, messageText, type StoredBody, type TranscriptMessage } from "./transcript.ts";

/**
 * What becomes of a message that comes while its session's run is under way:
 * - `steer`     it joins that run before its next model call; where there is none, it is a turn of its own after it
 * - `followup`  a turn of its own, when those before it have ended
 * - `collect`   one turn together with the other messages that were queued so and stand next to it
 * - `interrupt` the run is aborted, and the message is a turn of its own
 *
 * Nothing overtakes: a message never joins a turn while an older one of the session waits for its own.
 */
export const QUEUE_MODES = ["steer", "followup", "collect", "interrupt"] as const;
export type QueueMode = (typeof QUEUE_MODES)[number];

/** Most runs that are steered in at once, or collected into one. The functions of migrate/sql know it as a number. */
export const MAX_MERGED = 64;

/** A message that was queued while the session was busy, and who sent it. */
export interface CollectItem {
  readonly body: StoredBody;
  /** Client id of the connection that sent it. */
  readonly sender?: string;
}

/**
 * How many of the items, from the first on, make one message: plain texts that lie in their rows and fit into one
 * together. The JSON of a text that PostgreSQL cannot decode (NUL, half a surrogate pair) is left alone. 0: not even the
 * first can be collected; it is a turn of its own, as it is.
 */
export function collectableCount(items: readonly CollectItem[]): number {
  let bytes = 0;
  const end = items.slice(0, MAX_MERGED).findIndex(({ body }) => {
    if (!("inline" in body) || typeof body.inline.content !== "string") return true;
    if (mediaOf(body.inline).length > 0) return true; // put behind others it would lose its attachments
    const json = JSON.stringify(body.inline);
    bytes += Buffer.byteLength(json);
    return bytes > INLINE_BODY_MAX_BYTES || /\\u(0000|d[89a-f])/i.test(json);
  });
  return end === -1 ? Math.min(items.length, MAX_MERGED) : end;
}

/** One message of all that the items say, worded as OpenClaw does. It has the first one's other fields. */
export function collectedMessage(items: readonly CollectItem[]): TranscriptMessage {
  const messages = items.map(({ body }) => (body as { readonly inline: TranscriptMessage }).inline);
  const blocks = messages.map((message, i) => {
    const sender = items[i]?.sender;
    const from = sender === undefined ? "" : ` (from ${sender})`;
    return `\n\n---\nQueued #${i + 1}${from}\n${messageText(message).replace(/[ \t\r\n]+$/, "")}`;
  });
  const content = `[Queued messages while agent was busy]${blocks.join("")}`;
  return { ...(messages[0] as TranscriptMessage), content };
}
