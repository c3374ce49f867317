import { z } from "zod";
import { attemptOfRunSeq } from "../../server/core/run-event.ts";
import type { Usage } from "../../server/core/transcript.ts";

/** How a run ended, as `send --json` says it. */
export type SendStatus = "ok" | "error" | "aborted" | "timeout";

const usageSchema = z.object({
  input: z.number(),
  output: z.number(),
  cacheRead: z.number().optional(),
  cacheWrite: z.number().optional(),
  totalTokens: z.number().optional(),
});

const messageSchema = z.object({
  content: z.union([z.string(), z.array(z.looseObject({ type: z.string(), text: z.string().optional() }))]),
  usage: usageSchema.optional().catch(undefined),
});

/** A `chat` event of OpenClaw's protocol 4, with our `runSeq`. */
const chatSchema = z.object({
  runId: z.string(),
  sessionKey: z.string(),
  state: z.enum(["status", "delta", "final", "aborted", "error"]),
  runSeq: z.number().optional(),
  seq: z.number().optional(),
  deltaText: z.string().optional(),
  replace: z.boolean().optional(),
  message: messageSchema.optional().catch(undefined),
  usage: usageSchema.optional().catch(undefined),
  errorMessage: z.string().optional(),
  errorKind: z.string().optional(),
  errorDetail: z.looseObject({ kind: z.string().optional() }).optional().catch(undefined),
});

export type ChatEvent = z.infer<typeof chatSchema>;

/** Null for a payload that is no chat event. */
export const parseChatEvent = (payload: unknown): ChatEvent | null => {
  const parsed = chatSchema.safeParse(payload);
  return parsed.success ? parsed.data : null;
};

export interface SendResult {
  readonly type: "result";
  readonly runId: string;
  readonly sessionKey: string;
  readonly status: SendStatus;
  readonly text: string;
  readonly usage: Usage | null;
  /** Why it was not answered; absent when it was. */
  readonly error?: { readonly kind: string; readonly message: string };
}

/** What one event means to somebody who reads along. */
export interface AnswerStep {
  /** Text to print behind what is printed already. */
  readonly print: string;
  /** What is printed is no longer what the run says: a later attempt went another way. */
  readonly contradicted: boolean;
  readonly result: SendResult | null;
}

/**
 * Puts the events of one run together, over reconnects and attempts: duplicates change nothing, and what was printed
 * is never printed twice. Print everything that `push` hands out, in order.
 */
export function answerReader(runId: string) {
  /** The whole text as it now stands. */
  let text = "";
  /** The current message's text as the reader sees it. */
  let printed = "";
  let lastRunSeq = 0;
  let usage: Usage | null = null;
  let ended = false;

  /** Set between two messages: the next text begins on a new line. */
  let breakLine = false;

  /** Brings what is printed up to `text`. */
  function printRest(newMessage: boolean): { print: string; contradicted: boolean } {
    if (newMessage) {
      breakLine ||= printed !== "";
      printed = "";
    }
    // A repeated answer that has not yet come as far as what is printed: wait, it may agree.
    if (printed.startsWith(text)) return { print: "", contradicted: false };
    const goesOn = text.startsWith(printed);
    const print = `${breakLine || !goesOn ? "\n" : ""}${goesOn ? text.slice(printed.length) : text}`;
    breakLine = false;
    printed = text;
    return { print, contradicted: !goesOn };
  }

  return {
    /** Where to go on after a reconnect. */
    get lastRunSeq(): number {
      return lastRunSeq;
    },
    get text(): string {
      return text;
    },
    push(event: ChatEvent): AnswerStep | null {
      if (ended || event.runId !== runId || event.state === "status") return null;
      const runSeq = event.runSeq ?? event.seq ?? 0;
      const terminal = event.state !== "delta";
      if (!terminal && runSeq <= lastRunSeq) return null;
      const sameAttempt = lastRunSeq > 0 && attemptOfRunSeq(runSeq || 1) === attemptOfRunSeq(lastRunSeq);
      lastRunSeq = Math.max(lastRunSeq, runSeq);
      const whole = event.message === undefined ? null : textOf(event.message.content);
      const next = whole ?? (event.replace ? (event.deltaText ?? "") : text + (event.deltaText ?? ""));
      // Within an attempt a replaced text that does not go on from the old one is the next message of the run.
      const newMessage = sameAttempt && event.replace === true && !next.startsWith(text);
      if (!terminal || whole !== null) text = next;
      usage = event.usage ?? event.message?.usage ?? usage;
      const step = printRest(newMessage);
      if (!terminal) return { ...step, result: null };
      ended = true;
      return { ...step, result: resultOf(event, text, usage) };
    },
  };
}

function resultOf(event: ChatEvent, text: string, usage: Usage | null): SendResult {
  const base = { type: "result" as const, runId: event.runId, sessionKey: event.sessionKey, text, usage };
  if (event.state === "final") return { ...base, status: "ok" };
  if (event.state === "aborted") return { ...base, status: "aborted" };
  // OpenClaw knows few kinds; the precise one, as `runs show` tells it, is in the details.
  const kind = event.errorDetail?.kind ?? event.errorKind ?? "error";
  const error = { kind, message: event.errorMessage ?? "the run failed" };
  return { ...base, status: event.errorKind === "timeout" ? "timeout" : "error", error };
}

const textOf = (content: z.infer<typeof messageSchema>["content"]): string =>
  typeof content === "string"
    ? content
    : content.map((block) => (block.type === "text" ? (block.text ?? "") : "")).join("");
