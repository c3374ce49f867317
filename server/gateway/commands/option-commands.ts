import { type AgentSpec, findAgent, findModel } from "../../core/catalog.ts";
import type { SessionRecord } from "../../core/session.ts";
import { agentOfSessionKey } from "../../core/session-key.ts";
import { thinkingLevelOf, thinkingLevelsOf } from "../../core/thinking.ts";
import { unknownModel } from "../accept-run.ts";
import { modelInUse } from "../projection/catalog.ts";
import type { CommandReply, CommandRequest, SlashCommand } from "./command.ts";

/** The session as it stands, and its agent. */
async function subject({ call, sessionKey }: CommandRequest): Promise<{
  readonly session: SessionRecord | null;
  readonly agent: AgentSpec | undefined;
}> {
  const session = await call.gateway.sessions.get(call.tenant, sessionKey);
  return { session, agent: findAgent(call.gateway.catalog, agentOfSessionKey(sessionKey)) };
}

async function model(request: CommandRequest): Promise<CommandReply> {
  const { catalog } = request.call.gateway;
  const { session, agent } = await subject(request);
  const wanted = request.args;
  if (wanted === "" || wanted === "status") {
    const { provider, model: id } = modelInUse(catalog, agent, session);
    const chosen = session?.model == null ? "default" : "chosen for this session";
    return {
      text: `Current: ${provider}/${id} (${chosen})\n\nSwitch: /model <provider/model>\nBrowse: /models`,
    };
  }
  if (wanted === "list") return models(request);
  if (wanted === "default") {
    return { text: `Model reset to default (${agent?.model ?? ""}).`, patch: { model: null } };
  }
  const found = findModel(catalog, wanted);
  if (!found) return { text: unknownModel(wanted).message };
  const name = `${found.provider}/${found.id}`;
  return { text: `Model set to ${name} for this session.`, patch: { model: name } };
}

async function models(request: CommandRequest): Promise<CommandReply> {
  const { catalog } = request.call.gateway;
  const { session, agent } = await subject(request);
  const used = modelInUse(catalog, agent, session);
  const lines = catalog.models.map(({ provider, id, name }) => {
    const mark = provider === used.provider && id === used.model ? " ← current" : "";
    return `- ${provider}/${id}${name === id ? "" : ` (${name})`}${mark}`;
  });
  return { text: ["Models", ...lines, "", "Switch: /model <provider/model>"].join("\n") };
}

async function think(request: CommandRequest): Promise<CommandReply> {
  const { catalog } = request.call.gateway;
  const { session, agent } = await subject(request);
  const levels = thinkingLevelsOf(modelInUse(catalog, agent, session).spec);
  const options = ["default", ...levels].join(", ");
  const byDefault = agent?.thinkingLevel ?? "off";
  const asked = request.args.toLowerCase();
  if (asked === "") {
    return {
      text: `Current thinking level: ${session?.thinkingLevel ?? byDefault}.\nOptions: ${options}.`,
    };
  }
  if (asked === "default") {
    return { text: `Thinking level reset to default (${byDefault}).`, patch: { thinkingLevel: null } };
  }
  const wanted = thinkingLevelOf(asked);
  if (wanted === null || !levels.includes(wanted)) {
    return { text: `Unrecognized thinking level "${asked.slice(0, 80)}". Valid levels: ${options}.` };
  }
  const text = wanted === "off" ? "Thinking disabled." : `Thinking level set to ${wanted}.`;
  return { text, patch: { thinkingLevel: wanted } };
}

/** Commands that change what a session runs on, or show it. */
export const optionCommands: readonly SlashCommand[] = [
  {
    name: "model",
    description: "Show or set the model.",
    category: "options",
    args: [{ name: "model", description: "Model id (provider/model or id)", type: "string" }],
    run: model,
  },
  {
    name: "models",
    description: "List the models that are configured.",
    category: "options",
    run: models,
  },
  {
    name: "think",
    aliases: ["thinking", "t"],
    description: "Set thinking level.",
    category: "options",
    args: [{ name: "level", description: "A level of the model, or default", type: "string" }],
    run: think,
  },
];
