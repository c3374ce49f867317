/** The part of an OpenAI chat completions request that the demo model looks at. */
export interface ChatRequest {
  readonly model: string;
  readonly stream: boolean;
  readonly includeUsage: boolean;
  readonly messages: readonly ChatMessage[];
  /** `user`, `prompt_cache_key`: what the caller says about whose call it is. */
  readonly sessionHint: string | null;
}

export interface ChatMessage {
  readonly role: string;
  readonly text: string;
}

/** Null when the body is no chat completions request. Unknown fields are ignored. */
export function readChatRequest(body: unknown): ChatRequest | null {
  if (typeof body !== "object" || body === null) return null;
  const fields = body as Record<string, unknown>;
  if (!Array.isArray(fields["messages"])) return null;
  const options = fields["stream_options"] as { include_usage?: unknown } | undefined;
  const hint = fields["prompt_cache_key"] ?? fields["user"];
  return {
    model: typeof fields["model"] === "string" ? fields["model"] : "demo",
    stream: fields["stream"] === true,
    includeUsage: options?.include_usage === true,
    messages: fields["messages"].map(messageOf),
    sessionHint: typeof hint === "string" ? hint : null,
  };
}

function messageOf(value: unknown): ChatMessage {
  const { role, content } = (value ?? {}) as { role?: unknown; content?: unknown };
  return { role: typeof role === "string" ? role : "", text: textOf(content) };
}

/** Content is a string or a list of parts; of an image it is told that it is there, and of what kind. */
function textOf(content: unknown): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  let text = "";
  for (const part of content as { text?: unknown; image_url?: { url?: unknown } }[]) {
    if (typeof part?.text === "string") text += part.text;
    const url = part?.image_url?.url;
    if (typeof url === "string") text += ` [image ${/^data:([^;,]+)/.exec(url)?.[1] ?? "by address"}]`;
  }
  return text;
}

/** The newest user message, and how many model calls have been answered since: 0 for the first one. */
export function currentTurn(messages: readonly ChatMessage[]): {
  readonly userText: string;
  readonly callsAnswered: number;
  readonly toolResults: readonly string[];
} {
  let callsAnswered = 0;
  const toolResults: string[] = [];
  for (let i = messages.length - 1; i >= 0; i--) {
    const message = messages[i] as ChatMessage;
    if (message.role === "user") return { userText: message.text, callsAnswered, toolResults };
    if (message.role === "assistant") callsAnswered++;
    if (message.role === "tool") toolResults.unshift(message.text);
  }
  return { userText: "", callsAnswered, toolResults };
}
