import type { AgentCatalog } from "../core/catalog.ts";
import { DEFAULT_COMPACTION } from "../core/compaction.ts";
import { agentId } from "../core/ids.ts";

export const AGENT = agentId("main");

/** One agent and two models that nobody answers for. */
export const TEST_CATALOG: AgentCatalog = {
  defaultAgentId: AGENT,
  mainKey: "main",
  agents: [
    {
      id: AGENT,
      name: "Main",
      model: "demo/one",
      fallbacks: ["demo/two"],
      systemPrompt: "You are a test.",
      workspace: null,
      thinkingLevel: null,
      subagentsAllowed: [],
    },
  ],
  models: ["one", "two"].map((id) => ({
    id,
    name: id,
    provider: "demo",
    api: "openai-completions",
    baseUrl: "http://127.0.0.1:1/v1",
    contextWindow: 100_000,
    maxTokens: 10_000,
    reasoning: false,
    input: ["text"],
    cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
  })),
  laneWidths: { main: 64, subagent: 8, cron: 2 },
  queueMode: "followup",
  queueCap: null,
  compaction: DEFAULT_COMPACTION,
  runTimeoutMs: 600_000,
  subagents: { maxSpawnDepth: 5, maxChildren: 5 },
  cronEnabled: true,
};
