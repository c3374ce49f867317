import { z } from "zod";
import { HAError } from "../../../core/errors.ts";
import type { Usage } from "../../../core/transcript.ts";
import { type AnsweredRun, type AnswerForm, DONE, finished, NO_ANSWER } from "./answer-form.ts";
import { IMAGES_ONLY, messageOf, toolCallText, type Turn } from "./conversation.ts";
import { attachmentsOf, dataUri, type Media } from "./media.ts";
import {
  chatSamplingFields,
  joinInstructions,
  readBody,
  refuseClientTools,
  type RunRequest,
  samplingOf,
} from "./run-request.ts";

const part = z.looseObject({ type: z.string() });
const message = z.looseObject({
  role: z.string(),
  content: z.union([z.string(), z.array(part)]).nullish(),
  name: z.string().optional(),
  tool_call_id: z.string().optional(),
  tool_calls: z
    .array(
      z.looseObject({
        id: z.string().optional(),
        function: z.looseObject({ name: z.string(), arguments: z.string().optional() }).optional(),
      }),
    )
    .nullish(),
});
type Message = z.infer<typeof message>;

/** Body of `POST /v1/chat/completions`; fields it does not name are ignored. */
const chatBody = z.object({
  model: z.string().max(200).optional(),
  messages: z.array(message).max(10_000).optional(),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().optional() }).nullish(),
  user: z.string().max(400).optional(),
  n: z.int().nullish(),
  tools: z.array(z.unknown()).nullish(),
  tool_choice: z.unknown().optional(),
  ...chatSamplingFields,
});

/** @throws HAError REQUEST_INVALID */
export function readChatRequest(body: unknown): RunRequest {
  const asked = readBody(chatBody, body);
  const { messages = [], n, stop } = asked;
  if ((n ?? 1) !== 1) throw new HAError("REQUEST_INVALID", "n: an agent gives one answer; leave `n` out");
  refuseClientTools(asked.tools, asked.tool_choice);
  const images = imagesOf(messages);
  const text = messageOf(turnsOf(messages, images.length > 0));
  if (text === "") throw new HAError("REQUEST_INVALID", "Missing user message in `messages`.");
  return {
    model: asked.model ?? "openclaw",
    user: asked.user,
    stream: asked.stream === true,
    message: text,
    attachments: attachmentsOf(images, "messages"),
    instructions: joinInstructions(messages.filter(isInstruction).map(textOf)),
    sampling: samplingOf({
      maxTokens: asked.max_completion_tokens ?? asked.max_tokens,
      temperature: asked.temperature,
      stop: typeof stop === "string" ? [stop] : stop,
      responseFormat: asked.response_format,
    }),
    form: chatForm(asked.stream_options?.include_usage === true),
  };
}

const isInstruction = ({ role }: Message): boolean => role === "system" || role === "developer";
const isTool = ({ role }: Message): boolean => role === "tool" || role === "function";

function textOf({ content }: Message): string {
  if (typeof content === "string") return content.trim();
  const texts = (content ?? []).map((piece) =>
    (piece.type === "text" || piece.type === "input_text") && typeof piece["text"] === "string"
      ? piece["text"]
      : "",
  );
  return texts.filter(Boolean).join("\n").trim();
}

function turnsOf(messages: readonly Message[], imagesToAnswer: boolean): Turn[] {
  const answered = messages.findLastIndex((sent) => sent.role === "user" || isTool(sent));
  const turns: Turn[] = [];
  for (const [i, sent] of messages.entries()) {
    const text = textOf(sent);
    if (isTool(sent)) {
      const id = sent.tool_call_id ?? sent.name;
      if (text !== "" || id !== undefined) {
        turns.push({ role: "tool", sender: id === undefined ? "Tool" : `Tool:${id}`, text });
      }
    } else if (sent.role === "user") {
      const said = text === "" && i === answered && imagesToAnswer ? IMAGES_ONLY : text;
      if (said !== "") turns.push({ role: "user", sender: "User", text: said });
    } else if (sent.role === "assistant") {
      const calls = (sent.tool_calls ?? []).map((call) =>
        toolCallText(call.id ?? "", call.function?.name ?? "", call.function?.arguments ?? ""),
      );
      const said = [text, ...calls].filter(Boolean).join("\n");
      if (said !== "") turns.push({ role: "assistant", sender: "Assistant", text: said });
    }
  }
  return turns;
}

/** Images of the message that is to be answered; earlier ones have been seen. */
function imagesOf(messages: readonly Message[]): Media[] {
  const last = messages.findLast((sent) => sent.role === "user" || isTool(sent));
  if (last?.role !== "user" || typeof last.content === "string") return [];
  return (last.content ?? [])
    .filter(({ type }) => type === "image_url")
    .map((image) => {
      const said = image["image_url"] as { readonly url?: unknown } | string | null | undefined;
      const url = typeof said === "string" ? said : said?.url;
      if (typeof url !== "string") throw new HAError("REQUEST_INVALID", "image_url: expected a url");
      return dataUri(url.trim(), "image_url");
    });
}

function usageOf(usage: Usage | undefined): unknown {
  const cached = usage?.cacheRead ?? 0;
  const prompt = (usage?.input ?? 0) + cached;
  const completion = usage?.output ?? 0;
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: Math.max(usage?.totalTokens ?? 0, prompt + completion),
    ...(cached > 0 ? { prompt_tokens_details: { cached_tokens: cached } } : {}),
  };
}

function chatForm(includeUsage: boolean): AnswerForm {
  const chunk = ({ id, createdAt, model }: AnsweredRun, rest: Readonly<Record<string, unknown>>): string =>
    event({ id, object: "chat.completion.chunk", created: createdAt, model, ...rest });
  const choice = (run: AnsweredRun, delta: unknown, finish_reason: string | null): string =>
    chunk(run, { choices: [{ index: 0, delta, finish_reason }] });
  return {
    whole: ({ id, createdAt, model }, end) => ({
      id,
      object: "chat.completion",
      created: createdAt,
      model,
      choices: [
        {
          index: 0,
          message: { role: "assistant", content: end.text || NO_ANSWER },
          finish_reason: finished(end),
        },
      ],
      usage: usageOf(end.usage),
    }),
    failedWhole: (_run, error) => ({ error }),
    begin: (run) => choice(run, { role: "assistant" }, null),
    delta: (run, content) => choice(run, { content }, null),
    end: (run, end) =>
      choice(run, {}, finished(end)) +
      (includeUsage ? chunk(run, { choices: [], usage: usageOf(end.usage) }) : "") +
      DONE,
    failed: (_run, error) => event({ error }) + DONE,
  };
}

const event = (data: unknown): string => `data: ${JSON.stringify(data)}\n\n`;
