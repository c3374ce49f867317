import type { CronJob } from "../../core/cron.ts";
import type { TenantId } from "../../core/ids.ts";
import { isEnded } from "../../core/run-state.ts";
import { acceptedOrRefused } from "../../ports/accepted-run.ts";
import {
  CRON_JOBS_MAX,
  type CronRun,
  type CronStore,
  type FireAnswer,
  type Occurrence,
} from "../../ports/cron-store.ts";
import { acceptOne } from "./ledger-accept.ts";
import { memoryLease } from "./lease.ts";
import { runRecord } from "./runs.ts";
import { resetSession } from "./session-store.ts";
import { findRun, findSession, type MemoryStoreState, type StoredRun } from "./state.ts";
import { headSeq } from "./transcript.ts";

type Fired = Omit<CronRun, "run"> & { readonly run: StoredRun };

/** CronStore in memory; give it the state that the ledger has. */
export function memoryCronStore(state: MemoryStoreState, maxQueuedPerSession = 1_000): CronStore {
  const tenants = new Map<TenantId, Map<string, CronJob>>();
  const fired = new Map<TenantId, Fired[]>();
  const lease = memoryLease(state);

  const jobsOf = (tenant: TenantId): Map<string, CronJob> => {
    const known = tenants.get(tenant) ?? new Map<string, CronJob>();
    tenants.set(tenant, known);
    return known;
  };
  const all = (): CronJob[] => [...tenants.values()].flatMap((jobs) => [...jobs.values()]);
  const put = (job: CronJob): CronJob => {
    jobsOf(job.tenant).set(job.jobId, job);
    return job;
  };
  /** The job as it is, where it still is as it was seen. */
  const unchanged = (seen: CronJob): CronJob | null => {
    const job = tenants.get(seen.tenant)?.get(seen.jobId);
    return job?.revision === seen.revision ? job : null;
  };

  const fireOne = ({ job: seen, scheduledAt, nextRunAt, accept, reset }: Occurrence): FireAnswer => {
    const job = unchanged(seen);
    const isDue = scheduledAt === null || (job?.nextRunAt === scheduledAt && scheduledAt <= state.now());
    if (job === null || job.running !== null || !isDue) return { kind: "stale" };
    if (accept === null) {
      put({ ...job, nextRunAt });
      return { kind: "moved" };
    }
    const answer = acceptedOrRefused(acceptOne(state, accept, maxQueuedPerSession));
    if (answer.kind === "refused") return answer;
    const session = findSession(state, job.tenant, accept.sessionKey);
    if (reset && answer.kind === "new" && session && headSeq(session) > session.resetSeq) {
      resetSession(state, session, "cron");
    }
    const { runId } = accept;
    const firedAt = state.now();
    const manual = scheduledAt === null;
    put({
      ...job,
      nextRunAt: manual ? job.nextRunAt : nextRunAt,
      running: { runId, since: firedAt, manual },
    });
    const run = findRun(state, job.tenant, runId);
    if (run)
      fired.set(job.tenant, [
        ...(fired.get(job.tenant) ?? []),
        { run, jobId: job.jobId, firedAt, scheduledAt },
      ]);
    return { kind: "fired", answer };
  };

  return {
    now: async () => state.now(),

    list: async (tenant) => [...jobsOf(tenant).values()],

    get: async (tenant, jobId) => jobsOf(tenant).get(jobId) ?? null,

    add: async (tenant, jobId, { definition, enabled, nextRunAt }) => {
      const jobs = jobsOf(tenant);
      if (jobs.has(jobId)) return "exists";
      if (jobs.size >= CRON_JOBS_MAX) return "full";
      const now = state.now();
      return put({
        definition,
        enabled,
        nextRunAt,
        tenant,
        jobId,
        revision: 1,
        createdAt: now,
        updatedAt: now,
        running: null,
        last: null,
        consecutiveErrors: 0,
      });
    },

    replace: async (tenant, jobId, revision, { definition, enabled, nextRunAt }) => {
      const job = jobsOf(tenant).get(jobId);
      if (job?.revision !== revision) return null;
      const consecutiveErrors = enabled && !job.enabled ? 0 : job.consecutiveErrors;
      return put({
        ...job,
        definition,
        enabled,
        nextRunAt,
        consecutiveErrors,
        revision: revision + 1,
        updatedAt: state.now(),
      });
    },

    remove: async (tenant, jobId) => ({ removed: jobsOf(tenant).delete(jobId) }),

    runs: async (tenant, jobId, limit) =>
      (fired.get(tenant) ?? [])
        .filter((run) => jobId === null || run.jobId === jobId)
        .toReversed()
        .slice(0, limit)
        .map((run) => ({ ...run, run: runRecord(run.run) })),

    work: async (holder, ttlMs, limit) => {
      const term = lease.lead(holder, ttlMs);
      if (term === null) return null;
      const at = state.now();
      const waiting = all()
        .filter((job) => job.running === null && job.nextRunAt !== null)
        .sort((a, b) => (a.nextRunAt ?? 0) - (b.nextRunAt ?? 0));
      const ended = all().flatMap((job) => {
        const run = job.running && findRun(state, job.tenant, job.running.runId);
        return run && isEnded(run.status) ? [{ job, run: runRecord(run) }] : [];
      });
      return {
        term,
        at,
        due: waiting.filter(({ nextRunAt }) => (nextRunAt ?? 0) <= at).slice(0, limit),
        ended: ended.slice(0, limit),
        nextDueAt: waiting.find(({ nextRunAt }) => (nextRunAt ?? 0) > at)?.nextRunAt ?? null,
      };
    },

    resign: async (holder) => lease.resign(holder),

    fire: async (term, occurrences) =>
      occurrences.map((occurrence) =>
        term !== null && !lease.holds(term) ? { kind: "stale" } : fireOne(occurrence),
      ),

    settle: async (term, settlements) =>
      settlements.map(({ job: seen, runId, last, consecutiveErrors, enabled, nextRunAt, remove: isOver }) => {
        const job = unchanged(seen);
        if (!lease.holds(term) || job?.running?.runId !== runId) return false;
        if (isOver) jobsOf(job.tenant).delete(job.jobId);
        else put({ ...job, running: null, last, consecutiveErrors, enabled, nextRunAt });
        return true;
      }),
  };
}
