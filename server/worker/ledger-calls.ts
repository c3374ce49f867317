import { type Batcher, batcher } from "../core/batcher.ts";
import { asHAError, HAError, isHAError } from "../core/errors.ts";
import type { SessionKey, TenantId, WorkerId } from "../core/ids.ts";
import type { Clock } from "../ports/clock.ts";
import type { Logger } from "../ports/logger.ts";
import { backoffMs, type Random } from "../ports/random.ts";
import type {
  CheckpointAnswer,
  CheckpointRequest,
  ClaimAnswer,
  FinishAnswer,
  FinishRequest,
  GrantRef,
  RunLedger,
} from "../ports/run-ledger.ts";
import type { ReadySession } from "../ports/run-queue.ts";
import type { LeaseKeeper } from "./keep-lease.ts";
import type { WorkerCounters } from "./metrics.ts";

/** Most requests in one statement: beyond it a statement takes longer than what its round trip saves. */
const MAX_BATCH = 128;
const BACKOFF_BASE_MS = 50;
const BACKOFF_CAP_MS = 1_000;

/** The ledger as one life of the worker uses it: batched, and repeated for as long as the lease can be trusted. */
export interface LedgerCalls {
  claim(session: { readonly tenant: TenantId; readonly sessionKey: SessionKey }): Promise<ClaimAnswer>;
  checkpoint(request: CheckpointRequest): Promise<CheckpointAnswer>;
  finish(request: FinishRequest): Promise<FinishAnswer>;
  /** Hands one run back unfinished; the session to wake for it, or null when it is not ready (any more). */
  release(grant: GrantRef): Promise<ReadySession | null>;
  /**
   * Repeats any call while its store is away, with full jitter: an answer that was computed must not be lost because
   * a store was away for some seconds. Once the lease can no longer be trusted nothing more is sent; the next holder
   * goes on from the last checkpoint.
   * @throws HAError LEASE_LOST; the signal's reason when `signal` aborts; whatever else the call throws
   */
  whileTrusted<Answer>(call: () => Promise<Answer>, signal?: AbortSignal): Promise<Answer>;
}

export interface LedgerCallsDeps {
  readonly ledger: RunLedger;
  readonly worker: WorkerId;
  readonly keeper: Pick<LeaseKeeper, "trustMs" | "lost">;
  /** Runs that this worker executes at once: more than that never waits for the ledger. */
  readonly slots: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly counters: WorkerCounters;
}

export function ledgerCalls(deps: LedgerCallsDeps): LedgerCalls {
  const { ledger, worker, keeper, clock, random, logger, counters } = deps;
  const maxWaiting = deps.slots * 4 + MAX_BATCH;
  const batched = <Request, Answer>(
    name: string,
    call: (batch: readonly Request[]) => Promise<readonly Answer[]>,
  ): Batcher<Request, Answer> => batcher({ name, call, maxBatch: MAX_BATCH, maxWaiting });

  const claims = batched("claim", (batch: readonly { tenant: TenantId; sessionKey: SessionKey }[]) =>
    ledger.claim(worker, batch),
  );
  const checkpoints = batched("checkpoint", (batch: readonly CheckpointRequest[]) =>
    ledger.checkpoint(batch),
  );
  const finishes = batched("finish", (batch: readonly FinishRequest[]) => ledger.finish(batch));

  const releases = batched("release", async (batch: readonly GrantRef[]) => {
    const readied = await ledger.release(batch);
    return batch.map(
      ({ tenant, sessionKey }) =>
        readied.find((ready) => ready.tenant === tenant && ready.sessionKey === sessionKey) ?? null,
    );
  });

  let away = false;
  const whileTrusted = async <Answer>(call: () => Promise<Answer>, signal?: AbortSignal): Promise<Answer> => {
    for (let tries = 0; ; tries++) {
      if (keeper.trustMs() <= 0) throw lostError(worker, keeper);
      keeper.lost.throwIfAborted();
      signal?.throwIfAborted();
      try {
        // A call that hangs must not keep a run from ending when the lease is lost.
        const trusted = unlessAborted(call(), keeper.lost);
        const answer = await (signal === undefined ? trusted : unlessAborted(trusted, signal));
        if (away) logger.info("worker.store_back");
        away = false;
        return answer;
      } catch (error) {
        if (!isHAError(error, "STORE_UNAVAILABLE") && !isHAError(error, "OVERLOADED")) throw error;
        if (!away) logger.warn("worker.store_away", { code: error.code, message: error.message });
        away = true;
        counters.ledgerRetries++;
        // Composed only here: of a call that succeeds it would be a noticeable part.
        const stop = signal === undefined ? keeper.lost : AbortSignal.any([keeper.lost, signal]);
        await clock.sleep(backoffMs(random, tries, BACKOFF_BASE_MS, BACKOFF_CAP_MS), stop);
      }
    }
  };

  return {
    claim: (session) => whileTrusted(() => claims.submit(session)),
    checkpoint: (request) => whileTrusted(() => checkpoints.submit(request)),
    finish: (request) => whileTrusted(() => finishes.submit(request)),
    release: (grant) => whileTrusted(() => releases.submit(grant)),
    whileTrusted,
  };
}

function lostError(worker: WorkerId, keeper: Pick<LeaseKeeper, "lost">): HAError {
  return keeper.lost.aborted
    ? asHAError(keeper.lost.reason)
    : new HAError("LEASE_LOST", `worker ${worker} can no longer trust its lease`, { worker });
}

/** The promise, or the signal's reason as soon as it aborts; the promise's own end is then ignored. */
export function unlessAborted<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(asHAError(signal.reason));
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
