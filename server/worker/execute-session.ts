import { asHAError } from "../core/errors.ts";
import type { Grant } from "../ports/run-ledger.ts";
import type { ReadySession, RunQueue } from "../ports/run-queue.ts";
import { executeRun, type ExecuteRunDeps } from "./execute-run.ts";

export interface ExecuteSessionDeps extends ExecuteRunDeps {
  readonly queue: Pick<RunQueue, "enqueue">;
  /** Told of each run that has ended, once that is durable. Must not throw; is not waited for. */
  readonly ended: (grant: Grant) => void;
}

/**
 * Carries the runs of one session to their ends, one after another, until the session is idle or taken away, or the
 * worker drains. Never rejects.
 */
export async function executeSession(deps: ExecuteSessionDeps, first: Grant): Promise<void> {
  let grant: Grant | null = first;
  while (grant !== null) {
    const ending = await executeRun(deps, grant);
    if (ending.kind === "lost") return;
    if (ending.kind === "unfinished") return handBack(deps, grant);
    deps.ended(grant);
    const { next, ready } = ending.answer;
    if (ready !== null) await wake(deps, ready);
    // The worker began to drain while the ledger was handing out the next run.
    if (next !== null && !deps.takeNext()) return handBack(deps, next);
    grant = next;
  }
}

/** Where it fails, leaving the ledger at the end of the drain does the same for all that is left. */
async function handBack(deps: ExecuteSessionDeps, grant: Grant): Promise<void> {
  try {
    const ready = await deps.calls.release(grant);
    deps.counters.released++;
    if (ready !== null) await wake(deps, ready);
  } catch (error) {
    deps.logger.warn("worker.release_failed", { run: grant.runId, code: asHAError(error).code });
  }
}

/** Best effort: where the queue is away the sweep finds the session ready and puts it there. */
async function wake(deps: ExecuteSessionDeps, ready: ReadySession): Promise<void> {
  try {
    await deps.queue.enqueue([ready]);
  } catch (error) {
    deps.logger.debug("worker.enqueue_failed", { code: asHAError(error).code });
  }
}
