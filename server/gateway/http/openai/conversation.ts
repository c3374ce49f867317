/** One message of those that a request carries. */
export interface Turn {
  readonly role: "user" | "assistant" | "tool";
  /** `User`, `Assistant`, `Tool:<id>`: as the agent is told who said it. */
  readonly sender: string;
  readonly text: string;
}

/** What stands in for the text of a message that has none. */
export const IMAGES_ONLY = "User sent image(s) with no text.";
export const FILES_ONLY = "User sent file(s) with no text.";

/**
 * The one message that an agent is sent for a whole conversation, as OpenClaw writes it: the last user's or tool's turn
 * is what is to be answered, what stands before it goes along as context. A single message goes as it is. Empty where
 * there is nothing to answer.
 */
export function messageOf(turns: readonly Turn[]): string {
  const answered = turns.findLastIndex(({ role }) => role !== "assistant");
  const current = turns[answered === -1 ? turns.length - 1 : answered];
  if (current === undefined) return "";
  const before = turns.slice(0, turns.indexOf(current));
  if (before.length === 0 && current.role !== "tool") return current.text;
  const message = `${current.sender}: ${current.text}`;
  if (before.length === 0) return message;
  return [
    "[Chat messages since your last reply - for context]",
    ...before.map(({ sender, text }) => `${sender}: ${text}`),
    "",
    "[Current message - respond to this]",
    message,
  ].join("\n");
}

/** How a call of a tool reads in the conversation. */
export const toolCallText = (id: string, name: string, args: string): string =>
  `tool_call id=${id} name=${name} arguments=${args}`;
