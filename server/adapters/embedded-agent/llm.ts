import type { AssistantMessageEvent, Context, Model, SimpleStreamOptions } from "@openclaw/ai";
import type { ModelApi } from "../../core/catalog.ts";
import type { ValidateArguments } from "../../agent-loop/tool-step.ts";

/** What we use of @openclaw/ai. */
export interface Llm {
  /**
   * Asks a model once. The stream ends with a `done` or an `error` event and does not throw; the library never
   * retries by itself.
   */
  readonly stream: (
    model: Model,
    context: Context,
    options: SimpleStreamOptions,
  ) => AsyncIterable<AssistantMessageEvent>;
  readonly validate: ValidateArguments;
}

/**
 * Loads @openclaw/ai, about 200 ms and 30 MB, on first use: gateways and commands never need it. The provider SDKs
 * inside load when a model of their family is first asked.
 */
export async function loadLlm(): Promise<Llm> {
  const [{ createLlmRuntime, validateToolArguments }, { registerBuiltInApiProviders }] = await Promise.all([
    import("@openclaw/ai"),
    import("@openclaw/ai/providers"),
  ]);
  const runtime = createLlmRuntime();
  registerBuiltInApiProviders(runtime.registry);
  return {
    stream: runtime.streamSimple,
    validate: (tool, call) => validateToolArguments(tool, { ...call, arguments: { ...call.arguments } }),
  };
}

/** Makes the library load what a wire family needs: a call that is aborted before it begins gets as far as that. */
export async function touch(llm: Llm, api: ModelApi): Promise<void> {
  const model: Model = {
    id: "none",
    name: "none",
    provider: "none",
    api,
    baseUrl: "http://127.0.0.1:9/v1",
    contextWindow: 1,
    maxTokens: 1,
    reasoning: false,
    input: ["text"],
    cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
  };
  const call = llm.stream(model, { messages: [] }, { apiKey: "none", signal: AbortSignal.abort() });
  for await (const event of call) if (event.type === "error" || event.type === "done") return;
}
