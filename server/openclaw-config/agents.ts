import { type AgentSpec, findModel, type ModelSpec } from "../core/catalog.ts";
import { type AgentId, agentId } from "../core/ids.ts";
import type { KeyPath } from "./json5-positions.ts";
import { DEMO_MODEL, DEMO_PROVIDER, demoModel, undescribedModel } from "./models.ts";
import type { Problems } from "./problems.ts";
import type { AgentEntry, ModelChoice, OpenClawConfig } from "./schema.ts";

/** The agent that there is where nobody configured one. */
export const MAIN_AGENT = "main";

interface Written {
  readonly id: string;
  readonly entry: AgentEntry;
  readonly path: KeyPath;
}

export interface AgentsResult {
  readonly agents: readonly AgentSpec[];
  readonly defaultAgentId: AgentId;
  /** The configured models, and those that agents name without describing them. */
  readonly models: readonly ModelSpec[];
  /** `provider/model` that writes summaries; null where none is named. */
  readonly compactionModel: string | null;
}

/** Agents of `agents.list` or `agents.entries`, each with a model that exists. */
export function readAgents(
  config: OpenClawConfig,
  configured: readonly ModelSpec[],
  demoModelUrl: string | null,
  problems: Problems,
): AgentsResult {
  const models = [...configured];
  const defaults = config.agents?.defaults;
  const aliases = new Map(
    Object.entries(defaults?.models ?? {}).flatMap(([name, { alias }]) =>
      alias ? [[alias, name] as const] : [],
    ),
  );

  /** The full name of a model that exists, or null after telling that it does not. */
  const resolve = (written: string, path: KeyPath): string | null => {
    const name = aliases.get(written) ?? written;
    const found = findModel({ models }, name);
    if (found) return `${found.provider}/${found.id}`;
    const undescribed = undescribedModel(name, config.models?.providers ?? {});
    if (undescribed === null) {
      problems.error(
        path,
        `unknown model ${JSON.stringify(written)}: no provider of models.providers has it`,
      );
      return null;
    }
    models.push(undescribed);
    return `${undescribed.provider}/${undescribed.id}`;
  };

  const choose = (
    choice: ModelChoice | undefined,
    path: KeyPath,
  ): { model: string | null; fallbacks: string[] } => {
    const { primary, fallbacks = [] } = typeof choice === "string" ? { primary: choice } : (choice ?? {});
    const at = typeof choice === "string" ? path : [...path, "primary"];
    return {
      model: primary === undefined ? null : resolve(primary, at),
      fallbacks: fallbacks.flatMap((name, index) => resolve(name, [...path, "fallbacks", index]) ?? []),
    };
  };

  const shared = choose(defaults?.model, ["agents", "defaults", "model"]);
  const sharedGiven = typeof defaults?.model === "string" || defaults?.model?.primary !== undefined;

  /** Without any model in the configuration: the first one described, else the demo model. */
  const lastResort = (path: KeyPath): string => {
    const [first] = configured;
    if (first) return `${first.provider}/${first.id}`;
    if (demoModelUrl === null) {
      problems.error(
        path,
        "no model is configured (agents.defaults.model), and no demo model (OPENCLAW_HA_DEMO_MODEL_URL)",
      );
      return "";
    }
    if (!models.some((model) => model.provider === DEMO_PROVIDER)) models.push(demoModel(demoModelUrl));
    return `${DEMO_PROVIDER}/${DEMO_MODEL}`;
  };

  const written = writtenAgents(config, problems);
  const agents = written.map(({ id, entry, path }): AgentSpec => {
    // An agent with its own model does not inherit fallbacks (OpenClaw: strict unless it lists some).
    const own = entry.model === undefined ? null : choose(entry.model, [...path, "model"]);
    const model = own?.model ?? (own || sharedGiven ? shared.model : null);
    return {
      id: id as AgentId,
      name: entry.name ?? entry.identity?.name ?? id,
      model: model ?? (own || sharedGiven ? "" : lastResort(path)),
      fallbacks: own ? own.fallbacks : shared.fallbacks,
      systemPrompt: systemPrompt(id, entry),
      workspace: entry.workspace ?? defaults?.workspace ?? null,
      thinkingLevel: entry.thinkingDefault ?? defaults?.thinkingDefault ?? null,
      subagentsAllowed: (entry.subagents?.allowAgents ?? defaults?.subagents?.allowAgents ?? []).map(
        (allowed) => allowed.trim().toLowerCase(),
      ),
    };
  });
  const writer = defaults?.compaction?.model;
  const compactionModel =
    writer === undefined ? null : resolve(writer, ["agents", "defaults", "compaction", "model"]);
  return { agents, defaultAgentId: defaultAgent(config, written), models, compactionModel };
}

function writtenAgents(config: OpenClawConfig, problems: Problems): Written[] {
  const { list, entries } = config.agents ?? {};
  if (list && entries) problems.error(["agents"], "list and entries exclude each other");
  const all = [
    ...(list ?? []).map((entry, index) => ({ id: entry.id, entry, path: ["agents", "list", index] })),
    ...Object.entries(entries ?? {}).map(([id, entry]) => ({ id, entry, path: ["agents", "entries", id] })),
  ];
  const seen = new Set<string>();
  const agents = all.flatMap(({ id: writtenId, entry, path }): Written[] => {
    const id = writtenId.trim().toLowerCase();
    try {
      agentId(id);
    } catch {
      problems.error(path, `${JSON.stringify(writtenId)} is not an agent id (a-z, 0-9, - and _, at most 64)`);
      return [];
    }
    if (seen.has(id)) {
      problems.error(path, `agent ${JSON.stringify(id)} is defined twice`);
      return [];
    }
    seen.add(id);
    return [{ id, entry, path }];
  });
  return all.length > 0 ? agents : [{ id: MAIN_AGENT, entry: {}, path: ["agents"] }];
}

/** The one marked `default`, else the system agent, else `main`, else the first. */
function defaultAgent(config: OpenClawConfig, agents: readonly Written[]): AgentId {
  const named = config.agents?.defaults?.systemAgent?.agentId?.toLowerCase();
  const chosen =
    agents.find(({ entry }) => entry.default === true) ??
    agents.find(({ id }) => id === named) ??
    agents.find(({ id }) => id === MAIN_AGENT) ??
    agents[0];
  return (chosen?.id ?? MAIN_AGENT) as AgentId;
}

function systemPrompt(id: string, { name, identity }: AgentEntry): string {
  const called = identity?.name ?? name ?? id;
  const lines = [`You are ${called}, a personal assistant that people reach through OpenClaw.`];
  if (identity?.theme) lines.push(`Your manner: ${identity.theme}.`);
  if (identity?.emoji) lines.push(`Your emoji: ${identity.emoji}`);
  lines.push("Answer in the language of the user. When you do not know something, say so.");
  return lines.join("\n");
}
