import type {
  AssistantMessage,
  AssistantMessageEvent,
  Context,
  Model,
  SimpleStreamOptions,
} from "@openclaw/ai";
import type { AnswerText } from "../../agent-loop/answer-text.ts";
import type { TranscriptMessage } from "../../core/transcript.ts";
import { failureOf, type ModelFailure, refusedHere, unavailable } from "./failure.ts";
import type { Llm } from "./llm.ts";
import type { StallWatch } from "./stall-watch.ts";

export type StreamResult =
  | { readonly kind: "message"; readonly message: TranscriptMessage }
  | { readonly kind: "failure"; readonly failure: ModelFailure }
  | { readonly kind: "stopped" };

export interface StreamRequest {
  readonly model: Model;
  readonly context: Context;
  readonly options: SimpleStreamOptions;
  readonly text: AnswerText;
  readonly signal: AbortSignal;
  /** Called once, when the first piece of the answer is here. */
  readonly onFirst?: () => void;
}

/**
 * Asks a model once and hands its text on while it comes. Settles as soon as the signal aborts or the model has been
 * silent for too long, whether or not the library has noticed; nothing is handed on after that.
 */
export async function streamAnswer(
  llm: Llm,
  watch: StallWatch,
  request: StreamRequest,
): Promise<StreamResult> {
  const { text, signal } = request;
  if (signal.aborted) return { kind: "stopped" };
  const abort = new AbortController();
  let over = false;
  let ended = false;
  const { promise: cutShort, resolve: cut } = Promise.withResolvers<StreamResult>();
  const onAbort = (): void => cut({ kind: "stopped" });
  signal.addEventListener("abort", onAbort, { once: true });
  const watched = watch.watch((silentMs) =>
    cut({ kind: "failure", failure: unavailable(`no answer for ${silentMs} ms`) }),
  );
  let first = true;

  const read = async (): Promise<StreamResult> => {
    const { model, context, options, onFirst } = request;
    for await (const event of llm.stream(model, context, { ...options, signal: abort.signal })) {
      if (over) break;
      if (event.type === "start") continue; // the headers: no sign yet that the model answers
      watched.touch();
      if (first) {
        first = false;
        if (event.type !== "error") onFirst?.();
      }
      const result = onEvent(event, text);
      if (result === null) continue;
      ended = true;
      return result;
    }
    return { kind: "failure", failure: unavailable("the stream ended without an end") };
  };

  try {
    return await Promise.race([read(), cutShort]);
  } catch (error) {
    return { kind: "failure", failure: refusedHere(error) };
  } finally {
    over = true;
    watched.end();
    signal.removeEventListener("abort", onAbort);
    // Closes the connection of an answer that was cut short. Not done for complete ones: abort() makes an exception
    // with a stack trace, measured as 5 % of a short run.
    if (!ended) abort.abort();
  }
}

function onEvent(event: AssistantMessageEvent, text: AnswerText): StreamResult | null {
  if (event.type === "text_delta") text.delta(event.delta);
  else if (event.type === "thinking_delta") text.thinking(event.delta);
  else if (event.type === "done") return { kind: "message", message: storable(event.message) };
  else if (event.type === "error") return { kind: "failure", failure: failureOf(event.error) };
  return null;
}

/**
 * The message as it goes into the transcript. Tool calls of an answer that was cut off at its length limit are left
 * out: their arguments may be cut off too.
 */
function storable(message: AssistantMessage): TranscriptMessage {
  const { diagnostics: _, ...rest } = message;
  const content =
    message.stopReason === "length"
      ? message.content.filter((block) => block.type !== "toolCall")
      : message.content;
  return { ...rest, content };
}
