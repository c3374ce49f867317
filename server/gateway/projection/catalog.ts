import { type AgentCatalog, type AgentSpec, findModel, type ModelSpec } from "../../core/catalog.ts";
import type { SessionRecord } from "../../core/session.ts";

type Wire = Readonly<Record<string, unknown>>;

const RUNTIME = { id: "openclaw", cloudPlacementSupported: false, devicePlacementSupported: false } as const;

const thinkingLevelsOf = (model: ModelSpec | undefined): readonly string[] =>
  model?.reasoning ? ["off", "low", "medium", "high"] : ["off"];

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

export const modelsList = (catalog: AgentCatalog, agent: AgentSpec): Wire => ({
  models: catalog.models.map((model) => {
    const { thinkingLevels, thinkingDefault } = thinking(model, agent.thinkingLevel);
    return {
      id: model.id,
      name: model.name,
      provider: model.provider,
      contextWindow: model.contextWindow,
      reasoning: model.reasoning,
      input: model.input,
      tags: `${model.provider}/${model.id}` === agent.model ? ["default"] : [],
      thinkingLevels,
      thinkingDefault,
      available: true,
    };
  }),
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
