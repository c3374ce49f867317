import {
  type Compaction,
  compactionMessage,
  type CompactionPlan,
  contextOfHistory,
  contextTokens,
  estimateTokens,
  type ContextHistory,
  planCompaction,
  reserveTokens,
} from "../core/compaction.ts";
import type { RunError } from "../core/run.ts";
import { SUMMARY_SYSTEM_PROMPT, summaryPrompt, type SummaryRequest } from "../core/summary-prompt.ts";
import { messageText, type TranscriptMessage } from "../core/transcript.ts";
import type { AgentIO, AgentTurn } from "../ports/agent-runtime.ts";
import type { Clock } from "../ports/clock.ts";
import type { AnswerText } from "./answer-text.ts";
import type { ModelCall } from "./model-call.ts";
import type { Progress } from "./progress.ts";
import { throwIfHandedOver } from "./stop-reason.ts";

export type CompactionOutcome =
  /** The row is durable, and `turn` and the progress's messages go on from the shorter context. */
  | { readonly kind: "compacted"; readonly turn: AgentTurn; readonly compaction: Compaction }
  /** There is nothing before the run that a summary would shorten. */
  | { readonly kind: "nothing" }
  | { readonly kind: "failed"; readonly error: RunError }
  | { readonly kind: "stopped" };

export interface CompactContextDeps {
  readonly askModel: ModelCall;
  readonly clock: Clock;
}

interface Attempt {
  readonly turn: AgentTurn;
  readonly io: AgentIO;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** True where the next call would leave the model less room for its answer than it should have. */
export function isContextFull(turn: AgentTurn, messages: readonly TranscriptMessage[]): boolean {
  const window = turn.models[0]?.contextWindow ?? 0;
  return window > 0 && tokensOf(turn, messages) > window - reserveTokens(window);
}

/** Tokens of the context as it stands. */
export function tokensOf({ history, ownFrom }: AgentTurn, messages: readonly TranscriptMessage[]): number {
  const { compaction, entries } = history;
  // Answers that are older than the summary were counted with what it has replaced.
  const stale = compaction === null ? 0 : 1 + entries.filter(({ seq }) => seq < compaction.seq).length;
  return contextTokens(messages, Math.min(stale, ownFrom));
}

/**
 * Summarises what came before the run, all but the newest `keepTokens`, and makes it durable as a row of the
 * transcript; never more than `keepTokensOf` are kept. Killed before the row is written: the summary is made again, and
 * nothing else. Killed after it: the next attempt is given the compacted context.
 * @throws HAError LEASE_LOST or DRAINING
 */
export async function compactContext(
  deps: CompactContextDeps,
  attempt: Attempt,
  options: { readonly keepTokens?: number; readonly instructions?: string } = {},
): Promise<CompactionOutcome> {
  const { turn, io, progress, signal } = attempt;
  const plan = planCompaction(
    turn.history,
    turn.userRow,
    Math.min(options.keepTokens ?? Number.POSITIVE_INFINITY, keepTokensOf(turn)),
  );
  if (plan === null) return { kind: "nothing" };
  io.emit({ type: "compaction", phase: "start" });
  const summary = await summaryOf(deps, attempt, plan, options.instructions ?? "");
  throwIfHandedOver(signal);
  if (summary.kind !== "summary") {
    io.emit({ type: "compaction", phase: "end", completed: false });
    return summary;
  }
  const tokensBefore = tokensOf(turn, progress.messages);
  const kept: ContextHistory = {
    // Placed before every row that follows, and behind all that is kept.
    compaction: { ...draft(plan, summary.text, tokensBefore), seq: Number.MAX_SAFE_INTEGER },
    entries: plan.kept,
  };
  const own = progress.messages.slice(turn.ownFrom - 1);
  const context = contextOfHistory(kept);
  const tokensAfter = contextTokens([...context, ...own], context.length);
  const compaction = { ...draft(plan, summary.text, tokensBefore), tokensAfter };
  progress.replaceHistory(turn.ownFrom - 1, context);
  progress.add(null, compactionMessage(compaction, deps.clock.now()));
  await progress.checkpoint();
  io.emit({ type: "compaction", phase: "end", completed: true });
  const compacted = {
    ...turn,
    ownFrom: context.length + 1,
    history: { ...kept, compaction: { ...compaction, seq: Number.MAX_SAFE_INTEGER } },
  };
  return { kind: "compacted", turn: compacted, compaction };
}

/** As configured; less where a model's window is so small that it would be no compaction. */
function keepTokensOf({ models, compaction }: AgentTurn): number {
  const window = models[0]?.contextWindow ?? Number.POSITIVE_INFINITY;
  return Math.min(compaction.keepRecentTokens, Math.floor((window - reserveTokens(window)) / 2));
}

const draft = ({ firstKept }: CompactionPlan, summary: string, tokensBefore: number): Compaction => ({
  summary,
  firstKeptSeq: firstKept.seq,
  firstKeptEntryId: firstKept.messageId,
  tokensBefore,
  tokensAfter: 0,
});

type Summary =
  | { readonly kind: "summary"; readonly text: string }
  | { readonly kind: "failed"; readonly error: RunError }
  | { readonly kind: "stopped" };

/** Whole turns first; the beginning of a turn that is cut in two has a summary of its own behind theirs. */
async function summaryOf(
  deps: CompactContextDeps,
  attempt: Attempt,
  plan: CompactionPlan,
  instructions: string,
): Promise<Summary> {
  let text = plan.previousSummary;
  for (const messages of partsOf(plan.toSummarize, attempt.turn)) {
    const part = await ask(deps, attempt, {
      messages,
      previousSummary: text,
      turnPrefix: false,
      instructions,
    });
    if (part.kind !== "summary") return part;
    ({ text } = part);
  }
  for (const [i, messages] of partsOf(plan.turnPrefix, attempt.turn).entries()) {
    const request = { messages, previousSummary: null, turnPrefix: true, instructions };
    const part = await ask(deps, attempt, request);
    if (part.kind !== "summary") return part;
    const heading =
      i === 0 ? `${text ?? "No prior history."}\n\n---\n\n**Turn Context (split turn):**` : text;
    text = `${heading}\n\n${part.text}`;
  }
  return { kind: "summary", text: text ?? "" };
}

/** As much of a model's window as one question for a summary fills with the conversation. */
const QUESTION_RATIO = 0.5;

/** Parts that a model can read at once: a history from before compaction was known may be longer than its window. */
function partsOf(messages: readonly TranscriptMessage[], turn: AgentTurn): TranscriptMessage[][] {
  const limit = (writersOf(turn)[0]?.contextWindow ?? Number.POSITIVE_INFINITY) * QUESTION_RATIO;
  const parts: TranscriptMessage[][] = [];
  let tokens = Number.POSITIVE_INFINITY;
  for (const message of messages) {
    const size = estimateTokens(message);
    if (tokens + size > limit) {
      parts.push([]);
      tokens = 0;
    }
    parts.at(-1)?.push(message);
    tokens += size;
  }
  return parts;
}

/** Who writes the summaries. */
const writersOf = ({ models, compaction }: AgentTurn): AgentTurn["models"] =>
  compaction.model === null ? models : [compaction.model];

async function ask(deps: CompactContextDeps, attempt: Attempt, request: SummaryRequest): Promise<Summary> {
  const { turn, io, progress, signal } = attempt;
  const answer = await deps.askModel({
    turn: {
      ...turn,
      models: writersOf(turn),
      thinking: turn.compaction.thinkingLevel ?? turn.thinking,
      sampling: {},
      tools: [],
      agent: { ...turn.agent, systemPrompt: SUMMARY_SYSTEM_PROMPT },
    },
    messages: [{ role: "user", content: summaryPrompt(request), timestamp: deps.clock.now() }],
    callsAnswered: progress.messages.length,
    io,
    text: SILENT,
    signal,
  });
  if (answer.kind === "stopped") return { kind: "stopped" };
  if (answer.kind === "failed") return { kind: "failed", error: answer.error };
  const text = messageText(answer.message).trim();
  if (text !== "") return { kind: "summary", text };
  const message = "the model gave no text for the summary of this session; compact it again or reset it";
  return { kind: "failed", error: { kind: "compaction_failed", message } };
}

/** A summary is not shown while it is written. */
const SILENT: AnswerText = {
  begin: () => undefined,
  retry: () => undefined,
  delta: () => undefined,
  thinking: () => undefined,
  current: () => "",
  shown: () => "",
  settle: () => undefined,
};
