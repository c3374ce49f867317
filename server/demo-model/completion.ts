import { HAError } from "../core/errors.ts";
import type { DemoDirective, DemoToolCall } from "./directives.ts";
import { type ChatRequest, currentTurn } from "./request.ts";
import { toldOfSubagent } from "./subagent-event.ts";
import { demoSummary, summaryQuestion } from "./summary.ts";

/** What the demo model answers to one call, before it is cut into bytes. */
export interface Completion {
  readonly text: string;
  readonly thinking: string | null;
  readonly toolCalls: readonly (DemoToolCall & { readonly id: string })[];
  readonly finishReason: "stop" | "length" | "tool_calls";
  readonly usage: { readonly input: number; readonly output: number; readonly cached: number };
}

/** Pieces of an answer where the directive names no number: enough that nobody forgets that it comes in pieces. */
const DEFAULT_CHUNKS = 3;

/** Earlier messages that `recall` repeats, and characters of each. */
const RECALLED_MAX = 20;
const RECALLED_CHARACTERS = 200;

/** Longest answer in UTF-16 units: what `repeat` may make of a long message. */
const TEXT_MAX = 16 * 1024 * 1024;

/**
 * The answer to a request. Deterministic: the same request and directive, the same answer, ids included.
 * `words` is the user's text without directives. The plain answer contains it whole, which canary tests rely on.
 * @throws HAError REQUEST_INVALID when the directive asks for an answer that is too long
 */
export function complete(request: ChatRequest, directive: DemoDirective, words: string): Completion {
  const turn = currentTurn(request.messages);
  const toolCalls = directive.tools.map((tool, i) => ({
    ...tool,
    id: `call_${request.messages.length}_${i}`,
  }));
  const earlier = directive.recall ? earlierUserTexts(request) : [];
  const question = summaryQuestion(turn.userText);
  const said = question === null ? toldOfSubagent(words) : demoSummary(question);
  const once = directive.text ?? said ?? (toolCalls.length > 0 ? "" : echo(words, turn.toolResults, earlier));
  if (once.length * directive.repeat > TEXT_MAX) {
    throw new HAError("REQUEST_INVALID", `a demo answer has at most ${TEXT_MAX} characters`);
  }
  const text = once.repeat(directive.repeat);
  return {
    text,
    thinking: directive.thinking,
    toolCalls,
    finishReason: toolCalls.length > 0 ? "tool_calls" : directive.finish,
    usage: directive.usage ?? countTokens(request, text),
  };
}

/** What users said before in this conversation, as far as a test reads it: the newest messages, each cut short. */
const earlierUserTexts = ({ messages }: ChatRequest): string[] =>
  messages
    .filter(({ role }) => role === "user")
    .slice(-RECALLED_MAX - 1, -1)
    .map(({ text }) => text.slice(0, RECALLED_CHARACTERS));

function echo(words: string, toolResults: readonly string[], earlier: readonly string[]): string {
  const said = words === "" ? "You said nothing." : `You said: ${words}`;
  const tools = toolResults.length === 0 ? "" : `\n\nTools answered: ${toolResults.join(" | ")}`;
  const before = earlier.length === 0 ? "" : `\n\nBefore that you said: ${earlier.join(" | ")}`;
  return `${said}${tools}${before}\n\n(This is the built-in demo model. Name a real one in openclaw.json to get real answers.)`;
}

/** Four characters a token, the usual rule of thumb. */
export function requestTokens({ messages }: ChatRequest): number {
  let characters = 0;
  for (const message of messages) characters += message.text.length;
  return Math.ceil(characters / 4);
}

function countTokens(request: ChatRequest, answer: string): Completion["usage"] {
  return { input: requestTokens(request), output: Math.ceil(answer.length / 4), cached: 0 };
}

/**
 * Cuts a text into `count` pieces of nearly equal length, or fewer where it has fewer characters; never inside a
 * surrogate pair, since a lone half cannot be encoded.
 */
export function cutText(text: string, count: number): string[] {
  if (text === "") return [];
  const wanted = Math.min(count === 0 ? DEFAULT_CHUNKS : count, text.length);
  const pieces: string[] = [];
  let from = 0;
  for (let i = 1; i <= wanted; i++) {
    let to = Math.round((text.length * i) / wanted);
    if (isLowSurrogate(text.charCodeAt(to))) to++;
    if (to > from) pieces.push(text.slice(from, to));
    from = Math.max(from, to);
  }
  return pieces;
}

const isLowSurrogate = (code: number): boolean => code >= 0xdc00 && code <= 0xdfff;

/** The same for every call: nothing in an answer depends on when it was given. */
const CREATED = 1_700_000_000;

/** The answer as server-sent events of an OpenAI stream, one string each; the last ends the stream. */
export function streamEvents(request: ChatRequest, completion: Completion, chunks: number): string[] {
  const head = `data: {"id":"chatcmpl-demo","object":"chat.completion.chunk","created":${CREATED},"model":${JSON.stringify(request.model)}`;
  const event = (delta: string, finish = "null"): string =>
    `${head},"choices":[{"index":0,"delta":${delta},"finish_reason":${finish}}]}\n\n`;
  const events: string[] = [];
  if (completion.thinking !== null) {
    events.push(event(`{"role":"assistant","reasoning_content":${JSON.stringify(completion.thinking)}}`));
  }
  for (const piece of cutText(completion.text, chunks)) {
    events.push(event(`{"role":"assistant","content":${JSON.stringify(piece)}}`));
  }
  for (const [index, call] of completion.toolCalls.entries()) {
    const args = JSON.stringify(JSON.stringify(call.args));
    events.push(
      event(
        `{"role":"assistant","tool_calls":[{"index":${index},"id":"${call.id}","type":"function","function":{"name":"${call.name}","arguments":${args}}}]}`,
      ),
    );
  }
  let end = event("{}", `"${completion.finishReason}"`);
  if (request.includeUsage) end += `${head},"choices":[],"usage":${usageJson(completion)}}\n\n`;
  events.push(`${end}data: [DONE]\n\n`);
  return events;
}

/** The answer as one JSON document, for callers that do not stream. */
export function wholeAnswer(request: ChatRequest, completion: Completion): string {
  const toolCalls = completion.toolCalls.map((call) => ({
    id: call.id,
    type: "function",
    function: { name: call.name, arguments: JSON.stringify(call.args) },
  }));
  return JSON.stringify({
    id: "chatcmpl-demo",
    object: "chat.completion",
    created: CREATED,
    model: request.model,
    choices: [
      {
        index: 0,
        message: {
          role: "assistant",
          content: completion.text,
          ...(toolCalls.length > 0 ? { tool_calls: toolCalls } : {}),
        },
        finish_reason: completion.finishReason,
      },
    ],
    usage: JSON.parse(usageJson(completion)) as unknown,
  });
}

function usageJson({ usage: { input, output, cached } }: Completion): string {
  return `{"prompt_tokens":${input},"completion_tokens":${output},"total_tokens":${input + output},"prompt_tokens_details":{"cached_tokens":${cached}}}`;
}
