import { FILE_MAX_CHARACTERS, isTextType, mediaOf } from "./media.ts";
import type { TranscriptMessage } from "./transcript.ts";

/** Tokens of a model's window that are kept free for its answer, as far as OpenClaw keeps them: never above a quarter. */
const RESERVE_TOKENS = 20_000;
const RESERVE_MAX_RATIO = 0.25;
/** How sessions are compacted: `agents.defaults.compaction` of openclaw.json. */
export interface CompactionPolicy {
  /** False: only when a provider calls the context too long, and by command. */
  readonly isProactive: boolean;
  /** Tokens of the newest messages that an automatic compaction leaves as they are. */
  readonly keepRecentTokens: number;
  /** `provider/model` that writes the summaries, and no other; null: the models of the run. */
  readonly model: string | null;
  /** Of the summaries; null: that of the run. */
  readonly thinkingLevel: string | null;
}

/** As OpenClaw's. */
export const DEFAULT_COMPACTION: CompactionPolicy = {
  isProactive: true,
  keepRecentTokens: 20_000,
  model: null,
  thinkingLevel: null,
};
/** What an image counts as, as in OpenClaw. */
const IMAGE_TOKENS = 2_000;
const CHARACTERS_PER_TOKEN = 4;

/** A message of a session's context, and the row of the transcript that it is. */
export interface ContextEntry {
  readonly seq: number;
  readonly messageId: string;
  readonly message: TranscriptMessage;
}

/** What a compaction row says: everything before the first kept entry is known to the model by this summary alone. */
export interface Compaction {
  readonly summary: string;
  readonly firstKeptSeq: number;
  readonly firstKeptEntryId: string;
  /** Estimated size of the context before and after, in tokens. */
  readonly tokensBefore: number;
  readonly tokensAfter: number;
}

/** A context: the newest compaction, and the entries from its first kept one on. Oldest first. */
export interface ContextHistory {
  readonly compaction: (Compaction & { readonly seq: number }) | null;
  readonly entries: readonly ContextEntry[];
}

export const NO_HISTORY: ContextHistory = { compaction: null, entries: [] };

/**
 * Id of a compaction row. It names the first kept row, so that a context is found by an index on ids, also where the
 * row itself lies in a sealed segment.
 */
export const compactionId = (firstKeptSeq: number, unique: string): string =>
  `compaction:${firstKeptSeq}:${unique}`;

/** The first kept row that the id of a compaction row names; null for the id of any other row. */
export function firstKeptSeqOf(messageId: string): number | null {
  const digits = /^compaction:([1-9]\d{0,15}):/.exec(messageId);
  return digits === null ? null : Number(digits[1]);
}

/** A compaction as a row of the transcript: `system`, as the reset's, with what it says under `__openclaw`. */
export const compactionMessage = (compaction: Compaction, timestamp: number): TranscriptMessage => ({
  role: "system",
  content: "",
  timestamp,
  __openclaw: { kind: "compaction", ...compaction },
});

/** What a compaction row says, or null for any other message. */
export function compactionOf(message: TranscriptMessage): Compaction | null {
  const own = message["__openclaw"] as (Partial<Compaction> & { readonly kind?: unknown }) | undefined;
  if (message.role !== "system" || own?.kind !== "compaction") return null;
  const { summary, firstKeptSeq, firstKeptEntryId, tokensBefore = 0, tokensAfter = 0 } = own;
  if (summary === undefined || firstKeptSeq === undefined || firstKeptEntryId === undefined) return null;
  return { summary, firstKeptSeq, firstKeptEntryId, tokensBefore, tokensAfter };
}

/** The context after further rows: a compaction among them cuts off what it summarises. */
export function grown(history: ContextHistory, added: readonly ContextEntry[]): ContextHistory {
  let { compaction } = history;
  for (const { seq, message } of added) {
    const made = compactionOf(message);
    if (made !== null) compaction = { ...made, seq };
  }
  const all = added.length === 0 ? history.entries : [...history.entries, ...added];
  if (compaction === null || compaction.seq === history.compaction?.seq) return { compaction, entries: all };
  const first = compaction.firstKeptSeq;
  return {
    compaction,
    entries: all.filter(({ seq, message }) => seq >= first && compactionOf(message) === null),
  };
}

/** The messages of a context as a model is given them: a summary stands in front as a user's message. */
export function contextOfHistory({ compaction, entries }: ContextHistory): TranscriptMessage[] {
  const kept = entries.map(({ message }) => message);
  return compaction === null ? kept : [summaryMessage(compaction.summary), ...kept];
}

const summaryMessage = (summary: string): TranscriptMessage => ({
  role: "user",
  content: `The conversation before this point was compacted into this summary:\n\n<summary>\n${summary}\n</summary>`,
  timestamp: 0,
});

/** Tokens of a model's window that have to stay free. */
export const reserveTokens = (contextWindow: number): number =>
  Math.min(RESERVE_TOKENS, Math.floor(contextWindow * RESERVE_MAX_RATIO));

/** True for what stands in the transcript for people alone, as a command and its answer. */
export const isExcluded = (message: TranscriptMessage): boolean => message["excludeFromContext"] === true;

/** About the tokens of one message: four characters each, as OpenClaw counts. */
export function estimateTokens(message: TranscriptMessage): number {
  if (message.role === "system" || isExcluded(message)) return 0;
  let characters = 0;
  let images = 0;
  for (const { kind, contentType, sizeBytes } of mediaOf(message)) {
    if (kind === "image") images++;
    else if (isTextType(contentType)) characters += Math.min(sizeBytes, FILE_MAX_CHARACTERS);
  }
  const { content } = message;
  for (const block of typeof content === "string" ? [{ type: "text" as const, text: content }] : content) {
    if (block.type === "text") characters += block.text.length;
    else if (block.type === "thinking") characters += block.thinking.length;
    else if (block.type === "image") images++;
    else characters += block.name.length + JSON.stringify(block.arguments).length;
  }
  return Math.ceil(characters / CHARACTERS_PER_TOKEN) + images * IMAGE_TOKENS;
}

/**
 * Tokens of a context: what the provider counted at the newest answer, and an estimate of what came after it. Answers
 * before `freshFrom` were counted before a compaction and say nothing of the context as it now stands.
 */
export function contextTokens(messages: readonly TranscriptMessage[], freshFrom: number): number {
  let tokens = 0;
  for (let i = messages.length - 1; i >= 0; i--) {
    const message = messages[i] as TranscriptMessage;
    const counted = i >= freshFrom ? countedTokens(message) : 0;
    if (counted > 0) return tokens + counted;
    tokens += estimateTokens(message);
  }
  return tokens;
}

function countedTokens({ role, usage, stopReason }: TranscriptMessage): number {
  if (role !== "assistant" || usage === undefined || stopReason === "error" || stopReason === "aborted")
    return 0;
  const { input, output, cacheRead = 0, cacheWrite = 0, totalTokens = 0 } = usage;
  return totalTokens > 0 ? totalTokens : input + output + cacheRead + cacheWrite;
}

/** What a compaction has to summarise. */
export interface CompactionPlan {
  readonly firstKept: Pick<ContextEntry, "seq" | "messageId">;
  readonly previousSummary: string | null;
  readonly toSummarize: readonly TranscriptMessage[];
  /** Where the cut goes through a turn: the beginning of that turn, summarised for itself. */
  readonly turnPrefix: readonly TranscriptMessage[];
  readonly kept: readonly ContextEntry[];
}

/**
 * Where a context is cut: so that about `keepTokens` of its newest entries stay. It is cut in front of a user's or an
 * assistant's message and never between a tool call and its result. `end` is the user's row of the present run: rows
 * from it on always stay. Null where there is nothing to summarise.
 */
export function planCompaction(
  { compaction, entries }: ContextHistory,
  end: Pick<ContextEntry, "seq" | "messageId">,
  keepTokens: number,
): CompactionPlan | null {
  let cut = entries.length;
  let tokens = 0;
  for (let i = entries.length - 1; i >= 0; i--) {
    const { message } = entries[i] as ContextEntry;
    if (message.role === "system" || isExcluded(message)) continue;
    tokens += estimateTokens(message);
    if (mayBeginContext(message)) cut = i;
    if (tokens >= keepTokens) break;
  }
  // Somebody else's row behind the run's own stands before it in the context, but not in the transcript.
  if ((entries[cut]?.seq ?? 0) > end.seq) cut = entries.length;
  const firstKept = entries[cut] ?? end;
  const summarized = entries.slice(0, cut).map(({ message }) => message);
  const relevant = summarized.filter((message) => message.role !== "system" && !isExcluded(message));
  if (relevant.length === 0) return null;
  const beginsTurn = cut === entries.length || entries[cut]?.message.role === "user";
  const turnStart = beginsTurn ? -1 : relevant.findLastIndex(({ role }) => role === "user");
  return {
    firstKept: { seq: firstKept.seq, messageId: firstKept.messageId },
    previousSummary: compaction?.summary ?? null,
    toSummarize: turnStart === -1 ? relevant : relevant.slice(0, turnStart),
    turnPrefix: turnStart === -1 ? [] : relevant.slice(turnStart),
    kept: entries.slice(cut),
  };
}

const mayBeginContext = (message: TranscriptMessage): boolean =>
  !isExcluded(message) && (message.role === "user" || message.role === "assistant");
