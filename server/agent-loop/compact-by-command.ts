import { type Compaction, compactionOf } from "../core/compaction.ts";
import type { CompactionResult } from "../core/run.ts";
import type { TranscriptMessage } from "../core/transcript.ts";
import type { AgentIO, AgentOutcome, AgentTurn } from "../ports/agent-runtime.ts";
import type { AnswerText } from "./answer-text.ts";
import { compactContext, type CompactContextDeps, tokensOf } from "./compact-context.ts";
import type { Progress } from "./progress.ts";

/**
 * A run that is a compaction: it makes the row, unless an earlier attempt has, and answers what became of it. All but
 * the last message is summarised, as by OpenClaw's `/compact`. Null where the run was told to stop.
 * @throws HAError LEASE_LOST or DRAINING
 */
export async function compactByCommand(
  deps: CompactContextDeps,
  attempt: {
    readonly turn: AgentTurn;
    readonly io: AgentIO;
    readonly progress: Progress;
    readonly signal: AbortSignal;
  },
  text: AnswerText,
): Promise<AgentOutcome | null> {
  const { turn, progress } = attempt;
  const own = progress.messages.slice(turn.ownFrom).map(compactionOf);
  const made = own.findLast((compaction) => compaction !== null) ?? null;
  if (made !== null) return answer(deps, attempt, text, done(made), tokensOf(turn, progress.messages));
  const { instructions = "" } = turn.compact ?? {};
  const outcome = await compactContext(deps, attempt, { keepTokens: 0, instructions });
  switch (outcome.kind) {
    case "stopped":
      return null;
    case "compacted":
      return answer(deps, attempt, text, done(outcome.compaction), outcome.compaction.tokensAfter);
    case "nothing": {
      const result = { compacted: false, reason: "Nothing to compact (session too small)" };
      return answer(deps, attempt, text, result, tokensOf(turn, progress.messages));
    }
    case "failed": {
      const { message } = outcome.error;
      const failed = { compacted: false, reason: message };
      const result = answer(deps, attempt, text, failed, tokensOf(turn, progress.messages));
      return { ...result, status: "failed", error: outcome.error };
    }
    default:
      return outcome satisfies never;
  }
}

const done = ({ tokensBefore, tokensAfter }: Compaction): CompactionResult => ({
  compacted: true,
  tokensBefore,
  tokensAfter,
});

function answer(
  { clock }: CompactContextDeps,
  { turn, progress }: { readonly turn: AgentTurn; readonly progress: Progress },
  text: AnswerText,
  compaction: CompactionResult,
  contextTokens: number,
): AgentOutcome {
  const line = describe(compaction, contextTokens, turn.models[0]?.contextWindow ?? 0);
  const message: TranscriptMessage = {
    role: "assistant",
    content: [{ type: "text", text: line }],
    timestamp: clock.now(),
    stopReason: "stop",
    provider: "openclaw",
    model: "gateway-injected",
    excludeFromContext: true,
  };
  progress.add(null, message);
  text.settle(line);
  return {
    status: "succeeded",
    result: { text: line, stopReason: "stop", contextTokens, compaction },
    error: null,
    ...progress.rest(),
  };
}

/** As OpenClaw words it. */
function describe({ compacted, reason, ...tokens }: CompactionResult, now: number, window: number): string {
  const { tokensBefore = 0, tokensAfter = 0 } = tokens;
  const context = `Context ${short(now)}/${short(window)}`;
  if (compacted) return `⚙️ Compacted (${short(tokensBefore)} → ${short(tokensAfter)}) • ${context}`;
  return `⚙️ Compaction skipped: ${reason ?? ""} • ${context}`;
}

const short = (tokens: number): string =>
  tokens < 1_000 ? String(tokens) : `${(tokens / 1_000).toFixed(1).replace(/\.0$/, "")}k`;
