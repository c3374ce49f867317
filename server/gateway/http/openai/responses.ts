import { z } from "zod";
import { HAError } from "../../../core/errors.ts";
import type { Usage } from "../../../core/transcript.ts";
import { type AnsweredRun, type AnswerForm, DONE, finished, NO_ANSWER } from "./answer-form.ts";
import type { ApiError } from "./errors.ts";
import { FILES_ONLY, IMAGES_ONLY, messageOf, toolCallText, type Turn } from "./conversation.ts";
import { attachmentsOf, dataUri, type Media } from "./media.ts";
import {
  joinInstructions,
  maxTokens,
  readBody,
  refuseClientTools,
  type RunRequest,
  samplingFields,
  samplingOf,
} from "./run-request.ts";

const part = z.looseObject({ type: z.string() });
const inputItem = z.looseObject({
  /** Absent in the SDKs' short form of a message. */
  type: z.string().optional(),
  role: z.enum(["system", "developer", "user", "assistant"]).optional(),
  content: z.union([z.string(), z.array(part)]).nullish(),
  id: z.string().nullish(),
  call_id: z.string().optional(),
  name: z.string().optional(),
  arguments: z.string().optional(),
  output: z.unknown().optional(),
});
type Item = z.infer<typeof inputItem>;
type Part = z.infer<typeof part>;

/** Body of `POST /v1/responses`; fields it does not name are ignored. */
const responsesBody = z.object({
  model: z.string().max(200),
  input: z.union([z.string(), z.array(inputItem).max(10_000)]),
  instructions: z.string().nullish(),
  stream: z.boolean().nullish(),
  user: z.string().max(400).optional(),
  previous_response_id: z.string().max(300).nullish(),
  max_output_tokens: maxTokens,
  tools: z.array(z.unknown()).nullish(),
  tool_choice: z.unknown().optional(),
  background: z.boolean().nullish(),
  ...samplingFields,
});

/** @throws HAError REQUEST_INVALID */
export function readResponsesRequest(body: unknown): RunRequest {
  const asked = readBody(responsesBody, body);
  refuseClientTools(asked.tools, asked.tool_choice);
  if (asked.background === true) {
    throw new HAError(
      "REQUEST_INVALID",
      "`background` is not supported: stream the response, or wait for it",
    );
  }
  const items: readonly Item[] =
    typeof asked.input === "string" ? [{ role: "user", content: asked.input }] : asked.input;
  const text = messageOf(turnsOf(items));
  if (text === "") throw new HAError("REQUEST_INVALID", "Missing user message in `input`.");
  const system = items.filter(({ role }) => role === "system" || role === "developer").map(textOf);
  return {
    model: asked.model,
    user: asked.user,
    stream: asked.stream === true,
    message: text,
    attachments: attachmentsOf(mediaOf(answered(items)), "input"),
    instructions: joinInstructions([asked.instructions, ...system]),
    sampling: samplingOf({ maxTokens: asked.max_output_tokens, temperature: asked.temperature }),
    ...(asked.previous_response_id ? { previousId: asked.previous_response_id } : {}),
    form: responsesForm(),
  };
}

const isMessage = ({ type, role }: Item): boolean => (type ?? "message") === "message" && role !== undefined;
const isText = ({ type }: Part): boolean =>
  type === "input_text" || type === "output_text" || type === "text";

function textField(of: Readonly<Record<string, unknown>>, name: string): string {
  const value = of[name];
  return typeof value === "string" ? value : "";
}

function textOf({ content }: Item): string {
  if (typeof content === "string") return content.trim();
  const texts = (content ?? []).filter(isText).map((piece) => textField(piece, "text"));
  return texts.filter(Boolean).join("\n").trim();
}

/** The user's message that is to be answered; none where a tool's output is. */
function answered(items: readonly Item[]): Item | undefined {
  const last = items.findLast(
    (sent) => sent.type === "function_call_output" || (isMessage(sent) && sent.role === "user"),
  );
  return last !== undefined && isMessage(last) ? last : undefined;
}

function turnsOf(items: readonly Item[]): Turn[] {
  const current = answered(items);
  const turns: Turn[] = [];
  for (const sent of items) {
    if (sent.type === "function_call") {
      const text = toolCallText(sent.call_id ?? sent.id ?? "", sent.name ?? "", sent.arguments ?? "");
      turns.push({ role: "assistant", sender: "Assistant", text });
    } else if (sent.type === "function_call_output") {
      const { output } = sent;
      const text = typeof output === "string" ? output : JSON.stringify(output ?? "");
      turns.push({ role: "tool", sender: `Tool:${sent.call_id ?? ""}`, text });
    } else if (isMessage(sent) && (sent.role === "user" || sent.role === "assistant")) {
      const text = textOf(sent) || (sent === current ? placeholder(sent) : "");
      if (text === "") continue;
      turns.push({ role: sent.role, sender: sent.role === "user" ? "User" : "Assistant", text });
    }
  }
  return turns;
}

function placeholder({ content }: Item): string {
  const has = (type: string): boolean =>
    Array.isArray(content) && content.some((piece) => piece.type === type);
  if (has("input_image")) return IMAGES_ONLY;
  return has("input_file") ? FILES_ONLY : "";
}

function mediaOf(sent: Item | undefined): Media[] {
  if (sent === undefined || !Array.isArray(sent.content)) return [];
  return sent.content.flatMap((piece) => {
    if (piece.type === "input_image") return [mediaOfPart(piece, "image_url")];
    return piece.type === "input_file" ? [mediaOfPart(piece, "file_data")] : [];
  });
}

/** OpenAI's form (a data: URI in `image_url` or `file_data`), or OpenClaw's (`source`). */
function mediaOfPart(piece: Part, field: "image_url" | "file_data"): Media {
  const source = piece["source"] as Readonly<Record<string, unknown>> | undefined;
  const name = source?.["filename"] ?? piece["filename"];
  const named = typeof name === "string" ? { fileName: name.slice(0, 200) } : {};
  if (source?.["type"] === "base64" && typeof source["data"] === "string") {
    return { mimeType: textField(source, "media_type").toLowerCase(), base64: source["data"], ...named };
  }
  const url = piece[field];
  if (typeof url !== "string") {
    throw new HAError("REQUEST_INVALID", `${piece.type}: expected ${field} with a data: URI`);
  }
  return { ...dataUri(url.trim(), field), ...named };
}

function usageOf(usage: Usage | undefined): unknown {
  const cached = usage?.cacheRead ?? 0;
  const written = usage?.cacheWrite ?? 0;
  const input = (usage?.input ?? 0) + cached + written;
  const output = usage?.output ?? 0;
  return {
    input_tokens: input,
    input_tokens_details: { cached_tokens: cached, cache_write_tokens: written },
    output_tokens: output,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: Math.max(usage?.totalTokens ?? 0, input + output),
  };
}

type Status = "in_progress" | "completed" | "incomplete" | "failed";

function responsesForm(): AnswerForm {
  let sequence = 0;
  const event = (type: string, rest: Readonly<Record<string, unknown>>): string =>
    `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: sequence++, ...rest })}\n\n`;
  const response = (
    { id, createdAt, model }: AnsweredRun,
    status: Status,
    output: readonly unknown[],
    usage?: Usage,
    error?: unknown,
  ) => ({
    id,
    object: "response",
    created_at: createdAt,
    status,
    model,
    output,
    usage: usageOf(usage),
    ...(error === undefined ? {} : { error }),
    ...(status === "incomplete" ? { incomplete_details: { reason: "max_output_tokens" } } : {}),
  });
  const message = (run: AnsweredRun, text: string, status: Status): unknown => ({
    type: "message",
    id: itemId(run),
    role: "assistant",
    content: [{ type: "output_text", text }],
    phase: "final_answer",
    status,
  });
  const statusOf = (end: Parameters<AnswerForm["end"]>[1]): Status =>
    finished(end) === "length" ? "incomplete" : "completed";
  const failure = (run: AnsweredRun, { type, code, message: why }: ApiError) =>
    response(run, "failed", [], undefined, { code: code ?? type, message: why });
  return {
    whole: (run, end) =>
      response(run, statusOf(end), [message(run, end.text || NO_ANSWER, statusOf(end))], end.usage),
    // `error` where the SDKs look for it; beside it what OpenClaw answers.
    failedWhole: (run, error) => ({ ...failure(run, error), error }),
    begin(run) {
      const place = { item_id: itemId(run), output_index: 0, content_index: 0 };
      const item = {
        type: "message",
        id: itemId(run),
        role: "assistant",
        content: [],
        status: "in_progress",
      };
      const begun = response(run, "in_progress", []);
      return (
        event("response.created", { response: begun }) +
        event("response.in_progress", { response: begun }) +
        event("response.output_item.added", { output_index: 0, item }) +
        event("response.content_part.added", { ...place, part: { type: "output_text", text: "" } })
      );
    },
    delta: (run, delta) =>
      event("response.output_text.delta", {
        item_id: itemId(run),
        output_index: 0,
        content_index: 0,
        delta,
      }),
    end(run, end, text) {
      const place = { item_id: itemId(run), output_index: 0, content_index: 0 };
      const status = statusOf(end);
      const item = message(run, text, status);
      return (
        event("response.output_text.done", { ...place, text }) +
        event("response.content_part.done", { ...place, part: { type: "output_text", text } }) +
        event("response.output_item.done", { output_index: 0, item }) +
        event(`response.${status}`, { response: response(run, status, [item], end.usage) }) +
        DONE
      );
    },
    failed: (run, error) => event("response.failed", { response: failure(run, error) }) + DONE,
  };
}

const itemId = ({ id }: AnsweredRun): string => `msg_${id.slice("resp_".length)}`;
