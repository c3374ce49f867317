import { type AgentCatalog, type AgentSpec, findAgent, findModel, type ModelSpec } from "../core/catalog.ts";
import type { RunError, Sampling } from "../core/run.ts";
import type { AgentTurn } from "../ports/agent-runtime.ts";
import type { Grant } from "../ports/run-ledger.ts";

/** Who answers a run, with what. */
export interface TurnPlan {
  readonly agent: AgentSpec;
  /** At least one. */
  readonly models: readonly ModelSpec[];
  readonly thinking: string | null;
  readonly compaction: AgentTurn["compaction"];
  readonly sampling?: Sampling;
  /** Of the whole run in milliseconds; null for none. */
  readonly timeoutMs: number | null;
}

/**
 * Agent, models and limits of a run: what the run asked for, else what the session overrides, else the agent's own.
 * A model that somebody chose is used or the run fails; only the agent's own model falls back to others, as a person
 * who picked a model does not want to be answered by another one unawares.
 */
export function planTurn(
  catalog: AgentCatalog,
  grant: Pick<Grant, "agentId" | "input" | "sessionModel" | "sessionThinking">,
): { readonly plan: TurnPlan } | { readonly error: RunError } {
  const agent = findAgent(catalog, grant.agentId);
  if (agent === undefined) {
    return {
      error: {
        kind: "unknown_agent",
        message: `agent ${grant.agentId} is not in the configuration; it has ${listed(catalog.agents)}`,
      },
    };
  }
  const { options } = grant.input;
  const chosen = options.model ?? grant.sessionModel;
  const name = chosen ?? agent.model;
  const model = findModel(catalog, name);
  if (model === undefined) {
    const known = listed(catalog.models.map(({ provider, id }) => ({ id: `${provider}/${id}` })));
    return {
      error: { kind: "unknown_model", message: `model ${name} is not in the configuration; it has ${known}` },
    };
  }
  const models = [model];
  for (const fallback of chosen === null ? agent.fallbacks : []) {
    const spec = findModel(catalog, fallback);
    if (spec !== undefined && !models.includes(spec)) models.push(spec);
  }
  return {
    plan: {
      agent: withExtraPrompt(agent, options.extraSystemPrompt),
      models,
      compaction: {
        ...catalog.compaction,
        model:
          catalog.compaction.model === null ? null : (findModel(catalog, catalog.compaction.model) ?? null),
      },
      sampling: options.sampling,
      thinking: options.thinking ?? grant.sessionThinking ?? agent.thinkingLevel,
      timeoutMs: timeoutOf(catalog, grant),
    },
  };
}

const withExtraPrompt = (agent: AgentSpec, extra: string | undefined): AgentSpec =>
  extra === undefined
    ? agent
    : { ...agent, systemPrompt: agent.systemPrompt === "" ? extra : `${agent.systemPrompt}\n\n${extra}` };

/** As in OpenClaw, a limit of zero means none. */
export function timeoutOf(catalog: AgentCatalog, grant: Pick<Grant, "input">): number | null {
  const ms = grant.input.options.timeoutMs ?? catalog.runTimeoutMs;
  return ms > 0 ? ms : null;
}

/** The first few names, for a message that people read. */
function listed(things: readonly { readonly id: string }[]): string {
  const shown = things.slice(0, 5).map(({ id }) => id);
  if (things.length > shown.length) shown.push(`${things.length - shown.length} more`);
  return shown.length > 0 ? shown.join(", ") : "none";
}
