import type { ApiError } from "./errors.ts";
import type { RunEnd } from "../../run-view.ts";

/** A run as its answers name it. */
export interface AnsweredRun {
  /** Id of the run, and of the answer. */
  readonly id: string;
  /** Seconds. */
  readonly createdAt: number;
  /** As the request named it. */
  readonly model: string;
}

/** How one of OpenAI's interfaces writes an answer: as a whole, or as server-sent events, in their order. */
export interface AnswerForm {
  whole(run: AnsweredRun, end: RunEnd): unknown;
  failedWhole(run: AnsweredRun, error: ApiError): unknown;
  begin(run: AnsweredRun): string;
  delta(run: AnsweredRun, text: string): string;
  /** `text`: all that the deltas add up to. */
  end(run: AnsweredRun, end: RunEnd, text: string): string;
  failed(run: AnsweredRun, error: ApiError): string;
}

/** Where a run ended without a word; OpenClaw's. */
export const NO_ANSWER = "No response from OpenClaw.";

export const DONE = "data: [DONE]\n\n";

export const finished = (end: RunEnd): "stop" | "length" => (end.stopReason === "length" ? "length" : "stop");
