import type { ServerResponse } from "node:http";
import { type AgentCatalog, findAgent } from "../../../core/catalog.ts";
import { HAError } from "../../../core/errors.ts";
import { sendJson } from "../answer.ts";
import { agentOfModel } from "./target.ts";

const LIST = "/v1/models";

/**
 * `GET /v1/models` and `GET /v1/models/ID`: an agent is a model.
 * @throws HAError REQUEST_INVALID for an id of no agent's form, NOT_FOUND for an agent that is not configured
 */
export function answerModels(catalog: AgentCatalog, path: string, response: ServerResponse): void {
  const ids = ["openclaw", "openclaw/default", ...catalog.agents.map(({ id }) => `openclaw/${id}`)];
  if (path === LIST) {
    return sendJson(response, 200, { object: "list", data: [...new Set(ids)].map(modelObject) });
  }
  const id = decoded(path.slice(LIST.length + 1));
  const agent = agentOfModel(catalog, id);
  if (agent === null) throw new HAError("REQUEST_INVALID", "Invalid model id.");
  if (!ids.includes(id) || !findAgent(catalog, agent)) {
    throw new HAError("NOT_FOUND", `Model '${id}' not found.`);
  }
  sendJson(response, 200, modelObject(id));
}

const modelObject = (id: string) => ({
  id,
  object: "model",
  created: 0,
  owned_by: "openclaw",
  permission: [],
});

function decoded(id: string): string {
  try {
    return decodeURIComponent(id);
  } catch {
    throw new HAError("REQUEST_INVALID", "Invalid model id encoding.");
  }
}
