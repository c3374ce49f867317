import type { CompactionPolicy } from "./compaction.ts";
import type { AgentId } from "./ids.ts";
import type { LaneWidths } from "./lane.ts";
import type { QueueMode } from "./queue-mode.ts";

/** Wire families of @openclaw/ai that a provider may speak. */
export type ModelApi =
  | "openai-completions"
  | "openai-responses"
  | "azure-openai-responses"
  | "anthropic-messages"
  | "google-generative-ai"
  | "google-vertex"
  | "mistral-conversations";

export interface ModelSpec {
  /** Model id as the provider knows it. */
  readonly id: string;
  readonly name: string;
  readonly provider: string;
  readonly api: ModelApi;
  readonly baseUrl: string;
  readonly contextWindow: number;
  readonly maxTokens: number;
  readonly reasoning: boolean;
  readonly input: readonly ("text" | "image")[];
  /** US dollars per million tokens. */
  readonly cost: {
    readonly input: number;
    readonly output: number;
    readonly cacheRead: number;
    readonly cacheWrite: number;
  };
  readonly headers?: Readonly<Record<string, string>>;
  /** How the provider differs from its wire family: `models.providers.*.models[].compat` of openclaw.json, as it is. */
  readonly compat?: Readonly<Record<string, unknown>>;
}

export interface AgentSpec {
  readonly id: AgentId;
  readonly name: string;
  /** `provider/model`. */
  readonly model: string;
  readonly fallbacks: readonly string[];
  /** System prompt; built from the agent's identity and instructions. */
  readonly systemPrompt: string;
  readonly workspace: string | null;
  readonly thinkingLevel: string | null;
  /** Agents beside itself that its runs may spawn as subagents; `*`: all. */
  readonly subagentsAllowed: readonly string[];
}

/** What openclaw.json says that the pool needs: agents, models, widths. Provider keys are not in it. */
export interface AgentCatalog {
  readonly defaultAgentId: AgentId;
  /** Name of the main session: `agent:<id>:<mainKey>`. */
  readonly mainKey: string;
  readonly agents: readonly AgentSpec[];
  readonly models: readonly ModelSpec[];
  readonly laneWidths: LaneWidths;
  readonly queueMode: QueueMode;
  /** Messages that may wait in one session before the next is refused; null: the store's own limit. */
  readonly queueCap: number | null;
  readonly compaction: CompactionPolicy;
  /** Default deadline of a run in milliseconds. */
  readonly runTimeoutMs: number;
  readonly subagents: {
    /** Deepest subagent; 1: subagents spawn none. */
    readonly maxSpawnDepth: number;
    /** Open subagents of one session. */
    readonly maxChildren: number;
  };
  /** False: cron jobs are kept and not fired. */
  readonly cronEnabled: boolean;
}

export const findAgent = (catalog: AgentCatalog, id: string): AgentSpec | undefined =>
  catalog.agents.find((agent) => agent.id === id);

/** Finds `provider/model`, or a bare model id when only one provider has it. */
export function findModel(catalog: Pick<AgentCatalog, "models">, name: string): ModelSpec | undefined {
  const exact = catalog.models.find((model) => `${model.provider}/${model.id}` === name);
  if (exact) return exact;
  const bare = catalog.models.filter((model) => model.id === name);
  return bare.length === 1 ? bare[0] : undefined;
}
