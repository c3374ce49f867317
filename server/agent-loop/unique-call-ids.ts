import type { TranscriptMessage } from "../core/transcript.ts";
import { toolCallsOf } from "./next-action.ts";

/**
 * The message with tool call ids that no earlier message of the context has: results and records of started tools are
 * found by this id, and some models count from `call_0` in every answer. Ids that are unique already stay as they are.
 * New ones keep to the characters that every provider takes (letters, digits, `_`).
 */
export function withUniqueCallIds(
  message: TranscriptMessage,
  earlier: readonly TranscriptMessage[],
): TranscriptMessage {
  if (toolCallsOf(message).length === 0 || typeof message.content === "string") return message;
  const taken = new Set<string>();
  for (const other of earlier) for (const call of toolCallsOf(other)) taken.add(call.id);
  let changed = false;
  const content = message.content.map((block) => {
    if (block.type !== "toolCall") return block;
    let id = block.id;
    for (let n = 0; id === "" || taken.has(id); n++) id = `call_${earlier.length}_${n}`;
    taken.add(id);
    if (id === block.id) return block;
    changed = true;
    return { ...block, id };
  });
  return changed ? { ...message, content } : message;
}
