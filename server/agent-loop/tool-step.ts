import type { ToolCallBlock, TranscriptMessage } from "../core/transcript.ts";
import type { AgentTool } from "../ports/agent-runtime.ts";
import type { Clock } from "../ports/clock.ts";

/** What a tool call came to; a failure is a result too, and the model reads it. */
export interface ToolOutcome {
  readonly text: string;
  readonly isError: boolean;
}

/** A call that can be executed, or the reason why it cannot. */
export type PreparedCall =
  | { readonly kind: "ready"; readonly tool: AgentTool; readonly args: unknown }
  | { readonly kind: "refused"; readonly outcome: ToolOutcome };

/**
 * Checks and coerces arguments against the tool's JSON Schema.
 * @throws Error whose message tells the model what to correct
 */
export type ValidateArguments = (tool: AgentTool, call: ToolCallBlock) => unknown;

/** How long a tool may take to stop after an abort before its outcome counts as unknown. Below the 100 ms of the port. */
const STOP_GRACE_MS = 50;

const failed = (text: string): ToolOutcome => ({ text, isError: true });

/** Told to the model, so that it can check the state of things before it tries again. */
export const OUTCOMES = {
  unknown: failed(
    "The process that ran this tool died before it recorded a result. Whether the tool did its work is unknown; " +
      "it was not run again. Check before you repeat it.",
  ),
  stopped: failed("The run was stopped while this tool was running. Whether it did its work is unknown."),
  notRun: failed("Not run: the run was stopped before."),
} as const;

export function prepareCall(
  call: ToolCallBlock,
  tools: readonly AgentTool[],
  validate: ValidateArguments,
): PreparedCall {
  const tool = tools.find((candidate) => candidate.name === call.name);
  if (tool === undefined) {
    const known = tools.map((candidate) => candidate.name).join(", ") || "none";
    return { kind: "refused", outcome: failed(`There is no tool ${call.name}. Tools: ${known}.`) };
  }
  try {
    return { kind: "ready", tool, args: validate(tool, call) };
  } catch (error) {
    return { kind: "refused", outcome: failed(messageOf(error)) };
  }
}

/**
 * Executes a tool. It never rejects: a throwing tool is an error result. After an abort the tool has a short grace
 * to return what it did; then the outcome is unknown, and whatever it still does is its own affair.
 */
export async function executeTool(
  tool: AgentTool,
  call: { readonly id: string; readonly args: unknown },
  signal: AbortSignal,
  clock: Clock,
): Promise<ToolOutcome> {
  const execute = async () => tool.execute(call, signal); // async, so that a throw before the first await is caught too
  const running = execute().then(
    (result): ToolOutcome => ({ text: result.text, isError: result.isError === true }),
    (error: unknown) => (signal.aborted ? OUTCOMES.stopped : failed(messageOf(error))),
  );
  let onAbort: (() => void) | undefined;
  const stopped = new Promise<ToolOutcome>((resolve) => {
    onAbort = () => void clock.sleep(STOP_GRACE_MS).then(() => resolve(OUTCOMES.stopped));
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
  });
  try {
    return await Promise.race([running, stopped]);
  } finally {
    if (onAbort) signal.removeEventListener("abort", onAbort);
  }
}

export const toolResult = (
  call: ToolCallBlock,
  outcome: ToolOutcome,
  timestamp: number,
): TranscriptMessage => ({
  role: "toolResult",
  toolCallId: call.id,
  toolName: call.name,
  content: [{ type: "text", text: outcome.text }],
  isError: outcome.isError,
  timestamp,
});

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
