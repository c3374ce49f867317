import type { AgentCatalog } from "../core/catalog.ts";
import { demoModel } from "../openclaw-config/models.ts";
import { TEST_CATALOG } from "./test-catalog.ts";

/** One agent on a demo model that answers at this address. */
export function demoCatalog(url: string): AgentCatalog {
  const model = demoModel(url);
  const agents = TEST_CATALOG.agents.map((agent) => ({
    ...agent,
    model: `${model.provider}/${model.id}`,
    fallbacks: [],
  }));
  return { ...TEST_CATALOG, agents, models: [model] };
}
