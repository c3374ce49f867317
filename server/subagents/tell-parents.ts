import { asHAError } from "../core/errors.ts";
import type { Grant } from "../ports/run-ledger.ts";
import { announcer, type AnnouncerDeps } from "./announcer.ts";

/**
 * What a worker does when a run has ended that may be a subagent's: tells its parent at once. What fails here, or dies
 * before, the control process finds and tells a little later.
 */
export function tellParents(deps: AnnouncerDeps): (grant: Grant) => void {
  const parents = announcer(deps);
  return ({ lane, tenant, runId }) => {
    if (lane !== "subagent") return;
    parents.announce({ tenant, runId }).catch((error: unknown) => {
      deps.logger.debug("subagent.announce_later", { run: runId, code: asHAError(error).code });
    });
  };
}
