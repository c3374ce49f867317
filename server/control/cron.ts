import type { BodyStore } from "../bodies/body-store.ts";
import { storeInput } from "../bodies/store-input.ts";
import { asHAError } from "../core/errors.ts";
import type { AgentCatalog } from "../core/catalog.ts";
import type { TenantId } from "../core/ids.ts";
import type { CronNotice } from "../core/run-event.ts";
import { isLimitReason } from "../core/tenant-limits.ts";
import { afterRun, nextTime } from "../cron/after-run.ts";
import { finishedNotice, startedNotice } from "../cron/notices.ts";
import { dueOccurrence } from "../cron/occurrence.ts";
import { planDue } from "../cron/plan-due.ts";
import type { Clock } from "../ports/clock.ts";
import type { CronStore, CronWork, FireAnswer, Occurrence } from "../ports/cron-store.ts";
import type { EventBus } from "../ports/event-bus.ts";
import type { Logger } from "../ports/logger.ts";
import type { Random } from "../ports/random.ts";
import type { ReadySession, RunQueue } from "../ports/run-queue.ts";

/** A leader that is silent for so long is replaced. */
export const CRON_TERM_MS = 2_000;
/** Jobs of each kind in one step. */
const BATCH = 200;
/** Two steps are at least so far apart. */
const MIN_WAIT_MS = 10;
/** A job for one time whose tenant is shut out is looked at again after this. */
const SHUT_OUT_MS = 600_000;
/** A job whose session has no room is tried again after this. */
const QUEUE_FULL_MS = 30_000;
/** Characters of an answer that clients are told with the end of a run. */
const SUMMARY_MAX = 2_000;

export interface CronRunnerDeps {
  readonly cron: CronStore;
  readonly bodies: Pick<BodyStore, "store">;
  readonly queue: Pick<RunQueue, "enqueue">;
  readonly bus: Pick<EventBus, "notify">;
  readonly catalog: Pick<AgentCatalog, "defaultAgentId" | "mainKey">;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Names this life of this process; another life needs another name. */
  readonly holder: string;
}

export interface CronRunner {
  /**
   * Leads if nobody else does, takes note of runs that have ended and fires what is due, for `forMs` or until the signal
   * aborts: whatever falls due within that time is waited for, so that it starts on time. A job that is added
   * or changed meanwhile is seen by the next pass.
   * @throws HAError STORE_UNAVAILABLE
   */
  pass(forMs: number, stop: AbortSignal): Promise<void>;
  /** Lets another process lead at once. @throws HAError STORE_UNAVAILABLE */
  resign(): Promise<void>;
}

/** Fires cron jobs. Any number may run; each step is decided by the store, so that a jump between two leaders doubles nothing. */
export function cronRunner(deps: CronRunnerDeps): CronRunner {
  const { cron, clock, logger, holder } = deps;

  const bestEffort = async (what: string, call: () => Promise<unknown>): Promise<void> => {
    try {
      await call();
    } catch (error) {
      logger.debug("cron.left_undone", { what, code: asHAError(error).code });
    }
  };
  const tellAll = async (notices: readonly (readonly [TenantId, CronNotice])[]): Promise<void> => {
    const telling = notices.map(([tenant, notice]) =>
      bestEffort("notify", () => deps.bus.notify(tenant, notice)),
    );
    await Promise.all(telling);
  };

  /** @returns when the first of the jobs settled is due again */
  async function settle({ term, ended }: CronWork): Promise<number | null> {
    let first: number | null = null;
    if (ended.length === 0) return first;
    const settlements = ended.map(({ job, run }) => afterRun(job, run));
    const done = await cron.settle(term, settlements);
    const finished: (readonly [TenantId, CronNotice])[] = [];
    for (const [place, settlement] of settlements.entries()) {
      const { job, last, enabled, nextRunAt, remove } = settlement;
      if (done[place] !== true) continue; // changed meanwhile: the next step finds it again
      const summary = ended[place]?.run.result?.text.slice(0, SUMMARY_MAX) ?? null;
      logger.info("cron.finished", {
        tenant: job.tenant,
        job: job.jobId,
        status: last.status,
        nextRunAt,
        enabled,
      });
      finished.push([job.tenant, finishedNotice(settlement, summary)]);
      if (remove) finished.push([job.tenant, { type: "cron", action: "removed", jobId: job.jobId }]);
      if (nextRunAt !== null) first = Math.min(nextRunAt, first ?? nextRunAt);
    }
    await tellAll(finished);
    return first;
  }

  /** Where the job goes that could not be fired now. */
  function elsewhere(
    { job }: Occurrence,
    { reason }: Extract<FireAnswer, { kind: "refused" }>,
    now: number,
  ): number | null {
    if (reason === "session-queue-full" || isLimitReason(reason)) return now + QUEUE_FULL_MS;
    return nextTime(job, now) ?? (reason === "tenant-disabled" ? now + SHUT_OUT_MS : null);
  }

  const withBody = async (occurrence: Occurrence): Promise<Occurrence> => ({
    ...occurrence,
    accept: occurrence.accept && (await storeInput(deps.bodies, occurrence.accept)),
  });

  async function fire({ term, due, at }: CronWork): Promise<void> {
    if (due.length === 0) return;
    const plan = planDue(due, at);
    const occurrences = [
      ...(await Promise.all(plan.fire.map((job) => withBody(dueOccurrence(deps, job, at))))),
      ...plan.defer.map(({ job, until }) => moveOn(dueOccurrence(deps, job, at), until)),
    ];
    const answers = await cron.fire(term, occurrences);
    const ready: ReadySession[] = [];
    const moves: Occurrence[] = [];
    const started: (readonly [TenantId, CronNotice])[] = [];
    for (const [place, answer] of answers.entries()) {
      const occurrence = occurrences[place]!;
      const { tenant, jobId } = occurrence.job;
      if (answer.kind === "fired") {
        const { runId, sessionKey } = answer.answer.run;
        logger.info("cron.fired", {
          tenant,
          job: jobId,
          run: runId,
          lateMs: at - (occurrence.scheduledAt ?? at),
        });
        if (answer.answer.kind === "new" && answer.answer.ready) ready.push(answer.answer.ready);
        started.push([tenant, startedNotice(jobId, runId, sessionKey, at)]);
      } else if (answer.kind === "refused") {
        logger.warn("cron.refused", { tenant, job: jobId, reason: answer.reason });
        moves.push(moveOn(occurrence, elsewhere(occurrence, answer, at)));
      }
    }
    if (ready.length > 0) await bestEffort("enqueue", () => deps.queue.enqueue(ready));
    if (moves.length > 0) await cron.fire(term, moves);
    await tellAll(started);
  }

  /** @returns milliseconds until there is something to do again */
  async function step(): Promise<number> {
    const work = await cron.work(holder, CRON_TERM_MS, BATCH);
    if (work === null) return Number.POSITIVE_INFINITY;
    const again = await settle(work);
    await fire(work);
    if (work.due.length === BATCH || work.ended.length === BATCH) return MIN_WAIT_MS;
    const next = Math.min(work.nextDueAt ?? Number.POSITIVE_INFINITY, again ?? Number.POSITIVE_INFINITY);
    return next - work.at;
  }

  return {
    async pass(forMs, stop) {
      const begun = clock.monotonic();
      while (!stop.aborted) {
        const waitMs = Math.max(await step(), MIN_WAIT_MS);
        if (clock.monotonic() - begun + waitMs >= forMs) return;
        await clock.sleep(waitMs, stop);
      }
    },
    resign: () => cron.resign(holder),
  };
}

const moveOn = (occurrence: Occurrence, nextRunAt: number | null): Occurrence => ({
  ...occurrence,
  accept: null,
  nextRunAt,
});
