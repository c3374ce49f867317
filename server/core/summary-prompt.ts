import type { TranscriptMessage } from "./transcript.ts";

/** What the model is told to be while it summarises a conversation. */
export const SUMMARY_SYSTEM_PROMPT =
  "You summarise conversations between a user and an AI assistant, so that another model can go on with them. " +
  "Do not continue the conversation and do not answer its questions. Write the summary alone, in the format asked for.";

const FORMAT = `Use exactly these sections:

## Goal
[What the user wants; several items where there are several tasks.]

## Constraints & Preferences
- [What the user requires or prefers, or "(none)".]

## Progress
### Done
- [x] [What is finished.]

### In Progress
- [ ] [What is under way.]

### Blocked
- [What stands in the way, if anything.]

## Key Decisions
- **[Decision]**: [Why.]

## Next Steps
1. [What comes next, in order.]

## Critical Context
- [Facts, names and examples that are needed to go on, or "(none)".]

Be brief. Keep paths, names and error messages as they are.`;

const FIRST = `Summarise the conversation above as a checkpoint from which another model goes on.\n\n${FORMAT}`;

const UPDATE = `The conversation above comes after what the previous summary tells. Bring that summary up to date: keep what still holds, move finished work to Done, drop what is out of date.\n\n${FORMAT}`;

const TURN_PREFIX = `The conversation above is the beginning of one turn; its later part is kept and follows this summary. Summarise what is needed to understand that later part:

## Original Request
[What the user asked for.]

## Early Progress
- [What was done and decided so far.]

## Context for the Rest
- [What the kept part relies on.]

Be brief.`;

/** Characters of a tool's result that a summary is made of. */
const TOOL_RESULT_MAX = 2_000;

export interface SummaryRequest {
  readonly messages: readonly TranscriptMessage[];
  readonly previousSummary: string | null;
  /** The beginning of a turn that is cut in two, rather than whole turns. */
  readonly turnPrefix: boolean;
  /** What the user wants the summary to look at, or empty. */
  readonly instructions: string;
}

/** The question by which a model is asked for a summary. */
export function summaryPrompt({
  messages,
  previousSummary,
  turnPrefix,
  instructions,
}: SummaryRequest): string {
  const previous =
    previousSummary === null ? "" : `<previous-summary>\n${previousSummary}\n</previous-summary>\n\n`;
  const task = turnPrefix ? TURN_PREFIX : previousSummary === null ? FIRST : UPDATE;
  const focus = instructions === "" ? "" : `\n\nAdditional focus: ${instructions}`;
  const conversation = messages.map(line).filter((text) => text !== "");
  return `<conversation>\n${conversation.join("\n\n")}\n</conversation>\n\n${previous}${task}${focus}`;
}

/** One message as a line of the conversation: a model that reads it as text does not take it for its own turn. */
function line(message: TranscriptMessage): string {
  const { role, content } = message;
  const blocks = typeof content === "string" ? [{ type: "text" as const, text: content }] : content;
  const text = blocks.flatMap((block) => (block.type === "text" ? [block.text] : [])).join("\n");
  if (role === "user") return text === "" ? "" : `[User]: ${text}`;
  if (role === "toolResult") return `[Tool result]: ${cutShort(text)}`;
  if (role !== "assistant") return "";
  const calls = blocks.flatMap((block) =>
    block.type === "toolCall" ? [`${block.name}(${cutShort(JSON.stringify(block.arguments))})`] : [],
  );
  return [
    ...(text === "" ? [] : [`[Assistant]: ${text}`]),
    ...(calls.length === 0 ? [] : [`[Assistant tool calls]: ${calls.join("; ")}`]),
  ].join("\n\n");
}

const cutShort = (text: string): string =>
  text.length <= TOOL_RESULT_MAX
    ? text
    : `${text.slice(0, TOOL_RESULT_MAX)}\n[${text.length - TOOL_RESULT_MAX} more characters]`;
