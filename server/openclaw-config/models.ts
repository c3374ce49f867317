import type { ModelApi, ModelSpec } from "../core/catalog.ts";
import { isModelApi, KNOWN_PROVIDERS, modelApiNames } from "./known-providers.ts";
import type { Problems } from "./problems.ts";
import type { ProviderEntry, SecretInput } from "./schema.ts";

/** OpenClaw's assumptions about models that its configuration does not describe further. */
const CONTEXT_WINDOW = 200_000;
const MAX_TOKENS = 8_192;

export const DEMO_PROVIDER = "demo";
export const DEMO_MODEL = "demo";

/** The built-in model server, which needs no key. */
export const demoModel = (baseUrl: string): ModelSpec => ({
  id: DEMO_MODEL,
  name: "Demo model",
  provider: DEMO_PROVIDER,
  api: "openai-completions",
  baseUrl,
  contextWindow: CONTEXT_WINDOW,
  maxTokens: MAX_TOKENS,
  reasoning: false,
  input: ["text"],
  cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
  // So that the demo model can tell which session a call is of, for tests and chaos.
  compat: { sendSessionAffinityHeaders: true },
});

type Providers = Readonly<Record<string, ProviderEntry>>;

/** Every model that `models.providers` describes and that the pool can speak to. */
export function configuredModels(providers: Providers, problems: Problems): ModelSpec[] {
  return Object.entries(providers).flatMap(([provider, entry]) => {
    const path = ["models", "providers", provider];
    const known = KNOWN_PROVIDERS[provider];
    const baseUrl = entry.baseUrl ?? known?.baseUrl;
    if (baseUrl === undefined || !URL.canParse(baseUrl)) {
      // A reference that is not resolved yet is told on its own (secrets.ts).
      if (!baseUrl?.includes("${")) problems.error([...path, "baseUrl"], "expected a URL");
      return [];
    }
    return entry.models.flatMap((model, index) => {
      const api = apiOf(model.api ?? entry.api, known?.api);
      if (api === null) {
        problems.warn(
          [...path, ...(model.api ? ["models", index, "api"] : ["api"])],
          `${JSON.stringify(model.api ?? entry.api)} is not supported; models of it cannot be used (supported: ${modelApiNames()})`,
        );
        return [];
      }
      const headers = { ...entry.headers, ...model.headers };
      const spec: ModelSpec = {
        id: model.id,
        name: model.name ?? model.id,
        provider,
        api,
        baseUrl,
        contextWindow: model.contextTokens ?? model.contextWindow ?? entry.contextWindow ?? CONTEXT_WINDOW,
        maxTokens: model.maxTokens ?? entry.maxTokens ?? MAX_TOKENS,
        reasoning: model.reasoning,
        input: model.input.filter((kind): kind is "text" | "image" => kind === "text" || kind === "image"),
        cost: {
          input: model.cost.input,
          output: model.cost.output,
          cacheRead: model.cost.cacheRead,
          cacheWrite: model.cost.cacheWrite,
        },
        ...(Object.keys(headers).length > 0 ? { headers } : {}),
        ...(model.compat === undefined ? {} : { compat: model.compat }),
      };
      return [spec];
    });
  });
}

/** Null: an API that the pool does not speak. A provider of an own address without one is OpenAI-compatible. */
function apiOf(written: string | undefined, known: ModelApi | undefined): ModelApi | null {
  if (written === undefined) return known ?? "openai-completions";
  return isModelApi(written) ? written : null;
}

/** A model of a provider whose address is known, described by nothing but its name; null for any other. */
export function undescribedModel(name: string, providers: Providers): ModelSpec | null {
  const slash = name.indexOf("/");
  const provider = name.slice(0, Math.max(slash, 0));
  const id = name.slice(slash + 1);
  const known = KNOWN_PROVIDERS[provider];
  const entry = providers[provider];
  const baseUrl = entry?.baseUrl ?? known?.baseUrl;
  if (id === "" || baseUrl === undefined) return null;
  // A provider of somebody's own that lists its models has those and no others.
  if (known === undefined && entry !== undefined && entry.models.length > 0) return null;
  const api = apiOf(entry?.api, known?.api);
  if (api === null) return null;
  return {
    ...demoModel(baseUrl),
    compat: undefined,
    id,
    name: id,
    provider,
    api,
    maxTokens: entry?.maxTokens ?? MAX_TOKENS,
    input: ["text", "image"],
    ...(entry?.headers ? { headers: entry.headers } : {}),
  };
}

/**
 * The key of a provider: from its entry (in place, an environment reference, or the bare name of a variable, all of
 * which OpenClaw knows), else from the variable that its users keep it in. Undefined where there is none.
 */
export function providerKey(
  provider: string,
  entry: ProviderEntry | undefined,
  env: (name: string) => string | undefined,
): string | undefined {
  const written = entry?.apiKey === undefined ? undefined : secretValue(entry.apiKey, env);
  // A variable that is not set leaves its reference in the text: that is no key.
  if (written !== undefined) return written.includes("${") ? undefined : written;
  for (const name of KNOWN_PROVIDERS[provider]?.keyNames ?? []) {
    const value = env(name);
    if (value) return value;
  }
  return undefined;
}

/** A secret's value, or undefined where it cannot be read here. */
export function secretValue(
  secret: SecretInput,
  env: (name: string) => string | undefined,
): string | undefined {
  if (typeof secret !== "string") return secret.source === "env" ? env(secret.id) || undefined : undefined;
  if (secret === "") return undefined;
  return /^[A-Z][A-Z0-9_]*$/.test(secret) ? env(secret) || secret : secret;
}
