import { onTestFinished } from "vitest";
import type { ModelSpec } from "../../core/catalog.ts";
import { messageText, type TranscriptMessage } from "../../core/transcript.ts";
import { turnOf } from "../../testing/agent-harness.ts";
import type { AgentRuntime, AgentTool } from "../agent-runtime.ts";

/** What the model is to answer to one call. */
export interface ContractReply {
  readonly text?: string;
  /** Pieces that the text comes in. */
  readonly pieces?: number;
  readonly calls?: readonly string[];
  /** After this many pieces nothing more comes, and the model does not end either. */
  readonly hangAfter?: number;
}

export interface AgentRuntimeFixture {
  readonly runtime: AgentRuntime;
  readonly models: readonly ModelSpec[];
  /** A user message that the model answers with these replies, one for each model call of the run. */
  readonly ask: (replies: readonly ContractReply[]) => string;
  /** Model calls made so far. */
  readonly modelCalls: () => Promise<number>;
  readonly close: () => Promise<void>;
}

export const never = (): AbortSignal => new AbortController().signal;

export type OpenFixture = () => Promise<AgentRuntimeFixture>;

/** A fresh fixture for one test, closed at its end, with the turn that makes the model give these replies. */
export const setupWith =
  (open: OpenFixture) =>
  async (replies: readonly ContractReply[], tools: readonly AgentTool[] = []) => {
    const fixture = await open();
    onTestFinished(() => fixture.close());
    return { ...fixture, turn: turnOf(fixture.ask(replies), { models: fixture.models, tools }) };
  };

/** The tool results among the messages, with their text. */
export const resultsOf = (messages: readonly TranscriptMessage[]) =>
  messages
    .filter(({ role }) => role === "toolResult")
    .map((message) => ({ ...message, text: messageText(message) }));
