import { hash } from "node:crypto";
import type { Context, Message, Model, ModelThinkingLevel, StreamOptions } from "@openclaw/ai";
import { isBroken } from "../../agent-loop/next-action.ts";
import { isExcluded } from "../../core/compaction.ts";
import type { ModelSpec } from "../../core/catalog.ts";
import type { Sampling } from "../../core/run.ts";
import { messageText, type TranscriptMessage } from "../../core/transcript.ts";
import type { AgentTurn } from "../../ports/agent-runtime.ts";

const THINKING_LEVELS: readonly string[] = [
  "minimal",
  "low",
  "medium",
  "high",
  "xhigh",
  "max",
] satisfies ModelThinkingLevel[];

const NO_USAGE = {
  input: 0,
  output: 0,
  cacheRead: 0,
  cacheWrite: 0,
  totalTokens: 0,
  cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, total: 0 },
};

/** A model of the catalog as @openclaw/ai wants it. */
export const modelOf = (spec: ModelSpec): Model => ({
  ...spec,
  input: [...spec.input],
  headers: spec.headers === undefined ? undefined : { ...spec.headers },
  compat: spec.compat,
});

/** The context of one model call. */
export function contextOf(turn: AgentTurn, messages: readonly TranscriptMessage[]): Context {
  return {
    ...(turn.agent.systemPrompt === "" ? {} : { systemPrompt: turn.agent.systemPrompt }),
    messages: contextMessages(messages),
    ...(turn.tools.length === 0
      ? {}
      : {
          tools: turn.tools.map(({ name, description, parameters }) => ({ name, description, parameters })),
        }),
  };
}

/**
 * The transcript as a provider may read it: without our own system rows, and with the remains of broken answers as
 * plain text, because the user has seen that text and may refer to it. What a redriven run left behind after the
 * user's message is dropped: it is about to be written again.
 */
export function contextMessages(messages: readonly TranscriptMessage[]): Message[] {
  const lastAsked = messages.findLastIndex(({ role }) => role === "user" || role === "toolResult");
  const result: Message[] = [];
  for (const [i, message] of messages.entries()) {
    // Commands and their answers are between people and the gateway.
    if (message.role === "system" || isExcluded(message)) continue;
    if (isBroken(message)) {
      const text = messageText(message);
      if (text === "" || i > lastAsked) continue;
      result.push(assistant({ ...message, content: [{ type: "text", text }], stopReason: "stop" }));
    } else if (message.role === "assistant") {
      result.push(assistant(message));
    } else if (message.role === "toolResult" && typeof message.content === "string") {
      result.push({ ...message, content: [{ type: "text", text: message.content }] } as unknown as Message);
    } else {
      result.push(message as unknown as Message);
    }
  }
  return result;
}

/** Rows from elsewhere (chat.inject, imports) may lack fields that the library reads without asking. */
function assistant(message: TranscriptMessage): Message {
  if (typeof message.content !== "string" && message.usage !== undefined && message["api"] !== undefined) {
    return message as unknown as Message;
  }
  return {
    api: "openclaw-ha",
    provider: "openclaw-ha",
    model: "",
    stopReason: "stop",
    ...message,
    usage: { ...NO_USAGE, ...message.usage },
    content:
      typeof message.content === "string" ? [{ type: "text", text: message.content }] : message.content,
  } as unknown as Message;
}

/** The thinking level to ask for, or undefined where the model has none or the level is off or not known. */
export function thinkingOf(turn: AgentTurn, model: ModelSpec): ModelThinkingLevel | undefined {
  const level = turn.thinking ?? turn.agent.thinkingLevel;
  if (!model.reasoning || level === null || !THINKING_LEVELS.includes(level)) return undefined;
  return level as ModelThinkingLevel;
}

/** The library's options of what the run asked for; nothing that it did not ask for. */
export function samplingOf({ sampling }: AgentTurn): Pick<StreamOptions, keyof Sampling> {
  if (sampling === undefined) return {};
  const { stop, responseFormat, ...rest } = sampling;
  return {
    ...rest,
    ...(stop === undefined ? {} : { stop: [...stop] }),
    ...(responseFormat === undefined ? {} : { responseFormat: { ...responseFormat } }),
  };
}

/**
 * Names a conversation to a provider, for its prompt cache and for routing to the same replica. A hash, so that no
 * tenant or session name leaves the pool.
 */
export const cacheKeyOf = (turn: AgentTurn): string =>
  hash("sha256", `${turn.tenant}\n${turn.sessionKey}`, "hex").slice(0, 32);
