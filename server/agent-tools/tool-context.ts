import type { AgentSpec } from "../core/catalog.ts";
import type { AgentTool } from "../ports/agent-runtime.ts";
import type { Grant } from "../ports/run-ledger.ts";

/** The run for which tools are made. */
export interface ToolContext {
  readonly grant: Grant;
  readonly agent: AgentSpec;
}

/** Makes one tool for one run; null: this run does not get it. */
export type ToolMaker = (context: ToolContext) => AgentTool | null;
