import { HAError } from "../core/errors.ts";
import type { RunId, TenantId } from "../core/ids.ts";
import type { Grant } from "../ports/run-ledger.ts";

/** One run under way in this worker. */
export interface ActiveRun {
  readonly grant: Grant;
  /** Tells the agent to stop; the reason says why (ports/agent-runtime.ts). */
  readonly signal: AbortSignal;
  /** Only the first reason counts. */
  abort(reason: Error): void;
  /** Monotonic milliseconds, or null for a run without a deadline. */
  readonly deadline: number | null;
}

/** The runs of one life of the worker: whom an abort, a deadline, a drain or a lost lease concerns. */
export interface ActiveRuns {
  add(grant: Grant, deadline: number | null): ActiveRun;
  remove(run: ActiveRun): void;
  /** A user's abort; without effect on a run that is not here. */
  abort(tenant: TenantId, run: RunId): void;
  abortAll(reason: Error): void;
  /** Ends the runs whose deadline has passed. One pass for all: a run costs no timer. */
  expire(now: number): void;
  size(): number;
}

/** Reason of a user's abort: any but the HAErrors that the runtime knows means just that. */
export class AbortedByUser extends Error {
  override readonly name = "AbortError";

  constructor() {
    super("aborted by a user");
  }
}

export function activeRuns(): ActiveRuns {
  const runs = new Map<string, ActiveRun>();
  const nameOf = (tenant: TenantId, run: RunId): string => `${tenant}\0${run}`;

  return {
    add(grant, deadline) {
      const controller = new AbortController();
      const run: ActiveRun = {
        grant,
        deadline,
        signal: controller.signal,
        abort: (reason) => controller.abort(reason),
      };
      runs.set(nameOf(grant.tenant, grant.runId), run);
      return run;
    },
    remove(run) {
      const name = nameOf(run.grant.tenant, run.grant.runId);
      if (runs.get(name) === run) runs.delete(name);
    },
    abort: (tenant, id) => runs.get(nameOf(tenant, id))?.abort(new AbortedByUser()),
    abortAll(reason) {
      for (const run of runs.values()) run.abort(reason);
    },
    expire(now) {
      for (const run of runs.values()) {
        if (run.deadline === null || now < run.deadline) continue;
        run.abort(new HAError("TIMEOUT", `run ${run.grant.runId} reached its time limit`));
      }
    },
    size: () => runs.size,
  };
}
