import { type AgentCatalog, type AgentSpec, findModel, type ModelSpec } from "../../core/catalog.ts";
import type { SessionRecord } from "../../core/session.ts";
import { thinkingLevelsOf } from "../../core/thinking.ts";

type Wire = Readonly<Record<string, unknown>>;

const RUNTIME = { id: "openclaw", cloudPlacementSupported: false, devicePlacementSupported: false } as const;

const thinking = (model: ModelSpec | undefined, chosen: string | null): Wire => {
  const levels = thinkingLevelsOf(model);
  return {
    thinkingLevels: levels.map((id) => ({ id, label: id })),
    thinkingOptions: levels,
    thinkingDefault: chosen ?? "off",
  };
};

/** `agents.list`. A row without `model.primary` would block the Control UI's composer. */
export const agentsList = (catalog: AgentCatalog): Wire => ({
  defaultId: catalog.defaultAgentId,
  ownership: "sole",
  selectionRequired: false,
  mainKey: catalog.mainKey,
  scope: "per-sender",
  agents: catalog.agents.map((agent) => ({
    id: agent.id,
    kind: "agent",
    name: agent.name,
    ...(agent.workspace === null ? {} : { workspace: agent.workspace }),
    agentRuntime: { ...RUNTIME, source: "implicit" },
    ...thinking(findModel(catalog, agent.model), agent.thinkingLevel),
    model: { primary: agent.model, ...(agent.fallbacks.length > 0 ? { fallbacks: agent.fallbacks } : {}) },
  })),
});

/**
 * `models.list`: every model of the configuration, which is also the published catalog that `openclaw models list` asks
 * for. `includeDetails` adds what a model reads and whether its server is on this machine.
 */
export const modelsList = (
  catalog: AgentCatalog,
  agent: AgentSpec,
  options: { readonly provider?: string | undefined; readonly includeDetails?: boolean } = {},
): Wire => ({
  models: catalog.models
    .filter(
      ({ provider }) => options.provider === undefined || provider === options.provider.trim().toLowerCase(),
    )
    .map((model) => {
      const { thinkingLevels, thinkingDefault } = thinking(model, agent.thinkingLevel);
      return {
        id: model.id,
        name: model.name,
        provider: model.provider,
        contextWindow: model.contextWindow,
        ...(options.includeDetails ? { local: isLocal(model.baseUrl), input: model.input } : {}),
        reasoning: model.reasoning,
        tags: tagsOf(`${model.provider}/${model.id}`, agent),
        thinkingLevels,
        thinkingDefault,
        available: true,
      };
    }),
});

function tagsOf(name: string, agent: AgentSpec): readonly string[] {
  if (name === agent.model) return ["default"];
  const place = agent.fallbacks.indexOf(name);
  return place === -1 ? [] : [`fallback#${place + 1}`];
}

/** Whether a provider is asked on the machine or network of the pool itself. */
function isLocal(baseUrl: string): boolean {
  const host = URL.parse(baseUrl)?.hostname ?? "";
  return /^(?:localhost|127\.|10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|\[::1\])|\.local$/u.test(host);
}

/** `models.authStatus`: keys of providers come with the configuration; there are no logins to expire. */
export const modelAuthStatus = (catalog: AgentCatalog, ts: number): Wire => ({
  ts,
  providers: [...new Set(catalog.models.map(({ provider }) => provider))].map((provider) => ({
    provider,
    authProvider: provider,
    displayName: provider,
    status: "static",
    profiles: [],
    apiKey: { source: "config" },
  })),
  providerCapabilities: [],
});

export const agentIdentity = (agent: AgentSpec): Wire => ({
  agentId: agent.id,
  name: agent.name,
  nameSource: "config",
  avatar: (agent.name[0] ?? "A").toUpperCase(),
});

/** The model a session talks to: its own choice, else its agent's. */
export function modelInUse(
  catalog: AgentCatalog,
  agent: AgentSpec | undefined,
  session: Pick<SessionRecord, "model"> | null,
): { readonly provider: string; readonly model: string; readonly spec: ModelSpec | undefined } {
  const name = session?.model ?? agent?.model ?? "";
  const spec = findModel(catalog, name);
  const slash = name.indexOf("/");
  return {
    provider: spec?.provider ?? (slash > 0 ? name.slice(0, slash) : ""),
    model: spec?.id ?? name.slice(slash + 1),
    spec,
  };
}

/** The `defaults` block of history and session lists. */
export function defaultsOf(catalog: AgentCatalog, agent: AgentSpec | undefined): Wire {
  const { provider, model, spec } = modelInUse(catalog, agent, null);
  return {
    modelProvider: provider,
    model,
    contextTokens: spec?.contextWindow ?? 0,
    agentRuntime: { ...RUNTIME, source: "implicit" },
    ...thinking(spec, agent?.thinkingLevel ?? null),
    modelSelectionTarget: "session",
  };
}

export { RUNTIME as AGENT_RUNTIME, thinking as thinkingFields };
