import type { ModelApi } from "../core/catalog.ts";

/** A provider that a model may be named of without describing it in `models.providers`. */
export interface KnownProvider {
  readonly api: ModelApi;
  readonly baseUrl: string;
  /** Variables that its users keep the key in, first one wins; empty for servers that need none. */
  readonly keyNames: readonly string[];
}

/** Public endpoints, as the providers document them. */
export const KNOWN_PROVIDERS: Readonly<Record<string, KnownProvider>> = {
  anthropic: {
    api: "anthropic-messages",
    baseUrl: "https://api.anthropic.com",
    keyNames: ["ANTHROPIC_API_KEY"],
  },
  openai: { api: "openai-responses", baseUrl: "https://api.openai.com/v1", keyNames: ["OPENAI_API_KEY"] },
  google: {
    api: "google-generative-ai",
    baseUrl: "https://generativelanguage.googleapis.com/v1beta",
    keyNames: ["GEMINI_API_KEY", "GOOGLE_API_KEY"],
  },
  mistral: { api: "mistral-conversations", baseUrl: "https://api.mistral.ai", keyNames: ["MISTRAL_API_KEY"] },
  openrouter: {
    api: "openai-completions",
    baseUrl: "https://openrouter.ai/api/v1",
    keyNames: ["OPENROUTER_API_KEY"],
  },
  groq: { api: "openai-completions", baseUrl: "https://api.groq.com/openai/v1", keyNames: ["GROQ_API_KEY"] },
  xai: { api: "openai-completions", baseUrl: "https://api.x.ai/v1", keyNames: ["XAI_API_KEY"] },
  deepseek: {
    api: "openai-completions",
    baseUrl: "https://api.deepseek.com/v1",
    keyNames: ["DEEPSEEK_API_KEY"],
  },
  together: {
    api: "openai-completions",
    baseUrl: "https://api.together.xyz/v1",
    keyNames: ["TOGETHER_API_KEY"],
  },
  ollama: { api: "openai-completions", baseUrl: "http://127.0.0.1:11434/v1", keyNames: [] },
  lmstudio: { api: "openai-completions", baseUrl: "http://127.0.0.1:1234/v1", keyNames: [] },
  vllm: { api: "openai-completions", baseUrl: "http://127.0.0.1:8000/v1", keyNames: ["VLLM_API_KEY"] },
};

const MODEL_APIS: readonly ModelApi[] = [
  "openai-completions",
  "openai-responses",
  "azure-openai-responses",
  "anthropic-messages",
  "google-generative-ai",
  "google-vertex",
  "mistral-conversations",
];

export const isModelApi = (api: string): api is ModelApi => (MODEL_APIS as readonly string[]).includes(api);

export const modelApiNames = (): string => MODEL_APIS.join(", ");
