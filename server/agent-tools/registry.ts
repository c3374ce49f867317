import { type AgentCatalog, findAgent } from "../core/catalog.ts";
import type { AgentTool } from "../ports/agent-runtime.ts";
import type { Grant } from "../ports/run-ledger.ts";
import { sessionsSpawn, type SessionsSpawnDeps } from "./sessions-spawn.ts";
import type { ToolMaker } from "./tool-context.ts";

export interface AgentToolsDeps extends SessionsSpawnDeps {
  readonly catalog: AgentCatalog;
}

/**
 * The tools of the pool's agents: one maker each, in a file named after its tool. A tool says in `idempotent` whether a
 * call may be executed again after a crash between its start and its result.
 */
export function agentTools(deps: AgentToolsDeps): (grant: Grant) => readonly AgentTool[] {
  const makers: readonly ToolMaker[] = [sessionsSpawn(deps)];
  return (grant) => {
    const agent = findAgent(deps.catalog, grant.agentId);
    if (agent === undefined) return []; // the run fails before it needs a tool
    return makers.flatMap((make) => make({ grant, agent }) ?? []);
  };
}
