import type { RunResult } from "../core/run.ts";
import { messageText, type TranscriptMessage, type Usage } from "../core/transcript.ts";
import type { AgentIO, AgentOutcome, AgentTurn } from "../ports/agent-runtime.ts";
import type { Clock } from "../ports/clock.ts";
import { type AnswerText, answerText } from "./answer-text.ts";
import { compactByCommand } from "./compact-by-command.ts";
import { compactContext, isContextFull, tokensOf } from "./compact-context.ts";
import type { ModelCall, ModelCallAnswer } from "./model-call.ts";
import { nextAction, type PendingCall } from "./next-action.ts";
import { type Progress, progressOf } from "./progress.ts";
import { endOfAborted, throwIfHandedOver } from "./stop-reason.ts";
import {
  executeTool,
  OUTCOMES,
  prepareCall,
  type ToolOutcome,
  toolResult,
  type ValidateArguments,
} from "./tool-step.ts";
import { withUniqueCallIds } from "./unique-call-ids.ts";

export interface AgentLoopDeps {
  readonly askModel: ModelCall;
  readonly validate: ValidateArguments;
  readonly clock: Clock;
  /** Model calls of one run, over all attempts; a run that wants more has lost its way. */
  readonly maxSteps: number;
}

/** Characters of a tool's output that go into its event; the message keeps all of it. */
const EVENT_OUTPUT_MAX = 8_000;

/**
 * Runs one attempt of a run as the AgentRuntime port promises, whatever answers for the model.
 *
 * There is no state but the message list: each round reads from its tail what is next (next-action.ts), does it and
 * appends. Killed anywhere, the next attempt does the same from what was checkpointed (progress.ts says when).
 */
export async function runAgentLoop(
  deps: AgentLoopDeps,
  first: AgentTurn,
  io: AgentIO,
  signal: AbortSignal,
): Promise<AgentOutcome> {
  let turn = first;
  const progress = progressOf(turn, io, signal);
  const before = turn.messages.slice(turn.ownFrom).findLast((message) => message.role === "assistant");
  const text = answerText(
    (body) => io.emit(body),
    turn.attempt > 1 || before ? (before ? messageText(before) : "") : null,
  );
  /** The provider has called the context too long, and no answer has come since: it is shortened once for that. */
  let overflowed = false;

  for (;;) {
    throwIfHandedOver(signal);
    if (signal.aborted) return stopped(turn, progress, text, null, signal, deps.clock);
    if (turn.compact !== undefined) {
      const ended = await compactByCommand(deps, { turn, io, progress, signal }, text);
      if (ended === null) continue;
      return ended;
    }
    const action = nextAction(progress.messages, turn.startedTools);
    if (action.kind === "done") return succeeded(action.message, turn, progress, text);
    if (action.kind === "tools") {
      for (const pending of action.calls) {
        if (signal.aborted) break;
        await toolStep(deps, turn, io, signal, progress, pending);
      }
      continue;
    }
    const callsAnswered = answeredCalls(turn, progress.messages);
    if (callsAnswered >= deps.maxSteps) return tooManySteps(deps.maxSteps, turn, progress, text);
    // Nothing joins the first call: it costs no statement, and what waited with the run has turns of its own.
    await progress.checkpoint(callsAnswered > 0 ? "steer" : undefined);
    throwIfHandedOver(signal);
    if (signal.aborted) continue;
    if (turn.compaction.isProactive && isContextFull(turn, progress.messages)) {
      const shortened = await compactContext(deps, { turn, io, progress, signal });
      if (shortened.kind === "compacted") ({ turn } = shortened);
      if (signal.aborted) continue;
    }
    text.begin();
    const answer = await deps.askModel({
      turn,
      messages: progress.messages,
      callsAnswered,
      io,
      text,
      signal,
    });
    throwIfHandedOver(signal);
    if (answer.kind === "failed" && answer.error.kind === "context_overflow" && !overflowed) {
      overflowed = true;
      const keepTokens = Math.floor(tokensOf(turn, progress.messages) / 2);
      const shortened = await compactContext(deps, { turn, io, progress, signal }, { keepTokens });
      if (shortened.kind === "compacted") ({ turn } = shortened);
      if (shortened.kind === "compacted" || signal.aborted) continue;
    }
    if (answer.kind === "failed") return failed(answer, turn, progress, text, deps.clock);
    if (answer.kind === "stopped") return stopped(turn, progress, text, answer, signal, deps.clock);
    overflowed = false;
    progress.add({ kind: "model" }, withUniqueCallIds(answer.message, progress.messages));
  }
}

/** Answers one tool call: recorded before it starts, its result kept for the next checkpoint. */
async function toolStep(
  { validate, clock }: AgentLoopDeps,
  turn: AgentTurn,
  io: AgentIO,
  signal: AbortSignal,
  progress: Progress,
  { call, how }: PendingCall,
): Promise<void> {
  const prepared = prepareCall(call, turn.tools, validate);
  let shown = false;
  const show = (): void => {
    io.emit({ type: "tool", phase: "start", toolCallId: call.id, name: call.name, args: call.arguments });
    shown = true;
  };
  const answer = (outcome: ToolOutcome): void => {
    if (!shown) show(); // a follower never sees a result without its call
    progress.add(
      { kind: "tool_result", toolCallId: call.id, isError: outcome.isError },
      toolResult(call, outcome, clock.now()),
    );
    const result = outcome.text.slice(0, EVENT_OUTPUT_MAX);
    io.emit({
      type: "tool",
      phase: "result",
      toolCallId: call.id,
      name: call.name,
      result,
      isError: outcome.isError,
    });
  };
  // A tool that was idempotent when it was started and no longer is (or is gone) is not run again either.
  const unknown = how === "run_again" && !(prepared.kind === "ready" && prepared.tool.idempotent);
  if (how === "outcome_unknown" || unknown) return answer(OUTCOMES.unknown);
  if (prepared.kind === "refused") return answer(prepared.outcome);
  const { tool, args } = prepared;
  if (how === "run") {
    progress.add(
      { kind: "tool_started", toolCallId: call.id, toolName: tool.name, idempotent: tool.idempotent },
      null,
    );
  }
  await progress.checkpoint();
  throwIfHandedOver(signal);
  if (signal.aborted) return answer(OUTCOMES.notRun);
  show();
  const outcome = await executeTool(tool, { id: call.id, args }, signal, clock);
  throwIfHandedOver(signal);
  answer(outcome);
}

function succeeded(
  message: TranscriptMessage,
  turn: AgentTurn,
  progress: Progress,
  text: AnswerText,
): AgentOutcome {
  const answer = messageText(message);
  text.settle(answer); // also where a provider corrected itself at the end: the message is what counts
  return {
    status: "succeeded",
    result: resultOf(answer, message.stopReason ?? "stop", turn, progress, message),
    error: null,
    ...progress.rest(),
  };
}

function failed(
  answer: ModelCallAnswer & { kind: "failed" },
  turn: AgentTurn,
  progress: Progress,
  text: AnswerText,
  clock: Clock,
): AgentOutcome {
  keepPartialText(progress, text, "error", answer.model, clock);
  text.settle(text.shown());
  return {
    status: "failed",
    result: text.shown() === "" ? null : resultOf(text.shown(), "error", turn, progress, answer.model),
    error: answer.error,
    ...progress.rest(),
  };
}

/**
 * Ends an aborted run: the partial text stays as a message of its own, and every tool call gets a result, so that
 * the transcript can be sent to any provider again.
 */
function stopped(
  turn: AgentTurn,
  progress: Progress,
  text: AnswerText,
  answer: (ModelCallAnswer & { kind: "stopped" }) | null,
  signal: AbortSignal,
  clock: Clock,
): AgentOutcome {
  const status = endOfAborted(signal);
  if (answer !== null) keepPartialText(progress, text, "aborted", answer.model, clock);
  const left = nextAction(progress.messages, turn.startedTools);
  for (const { call, how } of left.kind === "tools" ? left.calls : []) {
    const outcome = how === "run" ? OUTCOMES.notRun : OUTCOMES.unknown;
    progress.add(
      { kind: "tool_result", toolCallId: call.id, isError: true },
      toolResult(call, outcome, clock.now()),
    );
  }
  text.settle(text.shown());
  return {
    status,
    result: resultOf(
      text.shown(),
      status === "timed_out" ? "timeout" : "aborted",
      turn,
      progress,
      answer?.model ?? null,
    ),
    error:
      status === "timed_out"
        ? { kind: "timeout", message: "the run reached its deadline before the answer was complete" }
        : null,
    ...progress.rest(),
  };
}

function tooManySteps(maxSteps: number, turn: AgentTurn, progress: Progress, text: AnswerText): AgentOutcome {
  text.settle(text.shown());
  return {
    status: "failed",
    result: text.shown() === "" ? null : resultOf(text.shown(), "error", turn, progress, null),
    error: {
      kind: "max_steps",
      message: `the agent called the model ${maxSteps} times without coming to an answer; ask for less at once`,
    },
    ...progress.rest(),
  };
}

/** What was written of a message that will not be completed: text only, since partial tool calls are nobody's wish. */
function keepPartialText(
  progress: Progress,
  text: AnswerText,
  stopReason: "error" | "aborted",
  model: { readonly provider: string; readonly model: string } | null,
  clock: Clock,
): void {
  if (text.current() === "") return;
  progress.add(
    { kind: "model" },
    {
      role: "assistant",
      content: [{ type: "text", text: text.current() }],
      stopReason,
      ...(model === null ? {} : { provider: model.provider, model: model.model }),
      timestamp: clock.now(),
    },
  );
}

function resultOf(
  text: string,
  stopReason: string,
  turn: AgentTurn,
  progress: Progress,
  model: { readonly provider?: string; readonly model?: string } | null,
): RunResult {
  const usage = usageOf(turn, progress.messages);
  return {
    text,
    stopReason,
    ...(usage === null ? {} : { usage }),
    contextTokens: tokensOf(turn, progress.messages),
    ...(model?.provider !== undefined && model.model !== undefined
      ? { model: { provider: model.provider, model: model.model } }
      : {}),
  };
}

/** Tokens of all model calls of the run. */
function usageOf(turn: AgentTurn, messages: readonly TranscriptMessage[]): Usage | null {
  let sum: Required<Usage> | null = null;
  for (const { usage } of messages.slice(turn.ownFrom)) {
    if (usage === undefined) continue;
    sum ??= { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, totalTokens: 0 };
    sum = {
      input: sum.input + usage.input,
      output: sum.output + usage.output,
      cacheRead: sum.cacheRead + (usage.cacheRead ?? 0),
      cacheWrite: sum.cacheWrite + (usage.cacheWrite ?? 0),
      totalTokens: sum.totalTokens + (usage.totalTokens ?? usage.input + usage.output),
    };
  }
  return sum;
}

const answeredCalls = ({ ownFrom }: AgentTurn, messages: readonly TranscriptMessage[]): number =>
  messages.slice(ownFrom).filter((message) => message.role === "assistant").length;
