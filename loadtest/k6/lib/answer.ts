import { type MessageShape } from "./plan.ts";

/** What an answer is recognized by: the message's own mark, and the secret of its session. */
export interface Marks {
  readonly mark: string;
  readonly canary: string;
}

/** Ends in a dot, so that no mark is the beginning of another one. */
export const marksOf = (key: string, sessionKey: string): Marks => ({
  mark: `mark-${key}.`,
  canary: `canary-${sessionKey}.`,
});

const FILLING = "All work and no play makes a dull load test. ";

/** The message: how the model is to answer, then what its answer has to repeat. */
export function messageText({ mark, canary }: Marks, shape: MessageShape): string {
  const { latencyMs, chunks, delayMs, paddingBytes } = shape;
  const padding = FILLING.repeat(Math.ceil(paddingBytes / FILLING.length)).slice(0, paddingBytes);
  return `[[demo latency=${latencyMs} chunks=${chunks} delay=${delayMs}]] ${mark} ${canary} ${padding}`.trimEnd();
}

const CANARY = /canary-[^\s.]+\./g;

/** What is wrong with a whole answer; null when nothing is. */
export function judgeAnswer(text: string, { mark, canary }: Marks): "foreign-text" | "wrong-answer" | null {
  // Cross-talk comes first: it is the worse of the two, and an answer that is another session's lacks the mark as well.
  if ((text.match(CANARY) ?? []).some((found) => found !== canary)) return "foreign-text";
  return text.indexOf(mark) < 0 ? "wrong-answer" : null;
}

/** The text that a run's deltas add up to. */
export interface StreamedText {
  readonly text: string;
  readonly lastRunSeq: number;
}

export const NOTHING_STREAMED: StreamedText = { text: "", lastRunSeq: 0 };

export const withDelta = (
  before: StreamedText,
  delta: { readonly deltaText?: string; readonly replace?: boolean; readonly runSeq?: number },
): StreamedText => ({
  text: (delta.replace === true ? "" : before.text) + (delta.deltaText ?? ""),
  lastRunSeq: Math.max(before.lastRunSeq, delta.runSeq ?? 0),
});
