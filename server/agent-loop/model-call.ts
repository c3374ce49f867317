import type { RunError } from "../core/run.ts";
import type { TranscriptMessage } from "../core/transcript.ts";
import type { AgentIO, AgentTurn } from "../ports/agent-runtime.ts";
import type { AnswerText } from "./answer-text.ts";

/** One question to the model: everything it may need to answer it. */
export interface ModelCallRequest {
  readonly turn: AgentTurn;
  /** The context as it now stands, ending in the user's message or in tool results. */
  readonly messages: readonly TranscriptMessage[];
  /** Model calls of this run that are answered already, over all attempts. */
  readonly callsAnswered: number;
  readonly io: AgentIO;
  /** Where the answer's text goes while it is written. */
  readonly text: AnswerText;
  readonly signal: AbortSignal;
}

export type ModelCallAnswer =
  /** A complete assistant message. Its tool calls, if any, can be executed. */
  | { readonly kind: "message"; readonly message: TranscriptMessage }
  /** Every model that may be asked has failed for good. */
  | { readonly kind: "failed"; readonly error: RunError; readonly model: ModelName | null }
  /** The signal aborted; whatever text there is has been given to `text`. */
  | { readonly kind: "stopped"; readonly model: ModelName | null };

interface ModelName {
  readonly provider: string;
  readonly model: string;
}

/**
 * Asks a model once, with all its retries and fallbacks, and settles at once when the signal aborts.
 * Failures of the model are answers; what it throws is a failure of ours and ends the attempt.
 */
export type ModelCall = (request: ModelCallRequest) => Promise<ModelCallAnswer>;
