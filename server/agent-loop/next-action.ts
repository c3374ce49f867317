import type { ToolCallBlock, TranscriptMessage } from "../core/transcript.ts";
import type { StartedTool } from "../ports/run-ledger.ts";

/** A tool call without a result, and what promise 7 allows to be done with it. */
export interface PendingCall {
  readonly call: ToolCallBlock;
  /**
   * - `run`             it was never started
   * - `run_again`       it was started, its outcome is unknown, and it is idempotent
   * - `outcome_unknown` it was started, its outcome is unknown, and running it again might repeat a side effect
   */
  readonly how: "run" | "run_again" | "outcome_unknown";
}

export type NextAction =
  | { readonly kind: "model" }
  | { readonly kind: "tools"; readonly calls: readonly PendingCall[] }
  | { readonly kind: "done"; readonly message: TranscriptMessage };

/**
 * What a run has to do next, from the tail of its messages alone. So a run resumes wherever it was cut, and there is
 * no other state to keep.
 *
 * | tail                                        | next                               |
 * | ------------------------------------------- | ---------------------------------- |
 * | user, or nothing                            | model                              |
 * | assistant with tool calls, some unanswered  | those tools, in order              |
 * | assistant with tool calls, all answered     | model                              |
 * | assistant without tool calls                | done                               |
 * | assistant that ended as error or aborted    | model: the run was redriven        |
 */
export function nextAction(
  messages: readonly TranscriptMessage[],
  startedTools: readonly StartedTool[],
): NextAction {
  const answered = new Set<string>();
  for (let i = messages.length - 1; i >= 0; i--) {
    const message = messages[i] as TranscriptMessage;
    if (message.role === "system") continue;
    if (message.role === "toolResult") {
      if (message.toolCallId !== undefined) answered.add(message.toolCallId);
      continue;
    }
    if (message.role === "user" || isBroken(message)) return { kind: "model" };
    const calls = toolCallsOf(message);
    const pending = calls.filter((call) => !answered.has(call.id));
    if (pending.length > 0) {
      return { kind: "tools", calls: pending.map((call) => ({ call, how: howToRun(call, startedTools) })) };
    }
    return calls.length > 0 || answered.size > 0 ? { kind: "model" } : { kind: "done", message };
  }
  return { kind: "model" };
}

function howToRun(call: ToolCallBlock, startedTools: readonly StartedTool[]): PendingCall["how"] {
  const started = startedTools.find((tool) => tool.toolCallId === call.id);
  if (started === undefined) return "run";
  return started.idempotent ? "run_again" : "outcome_unknown";
}

export function toolCallsOf(message: TranscriptMessage): ToolCallBlock[] {
  if (typeof message.content === "string") return [];
  return message.content.filter((block): block is ToolCallBlock => block.type === "toolCall");
}

/** True for an assistant message that is only the remains of a call that failed or was stopped. */
export const isBroken = (message: TranscriptMessage): boolean =>
  message.role === "assistant" && (message.stopReason === "error" || message.stopReason === "aborted");
