import { randomUUID } from "node:crypto";
import { describe, expect, it, onTestFinished } from "vitest";
import { type CronDefinition, type CronJob, cronRunId, cronSessionKey } from "../../core/cron.ts";
import { agentId, tenantId } from "../../core/ids.ts";
import { CRON_JOBS_MAX, type CronWork, type Occurrence } from "../cron-store.ts";
import type { OpenStores } from "./store-fixture.ts";
import { storeWorld, textBody, unique } from "./store-world.ts";

const MAIN = agentId("main");
const TTL_MS = 5_000;
const HOUR_MS = 3_600_000;

const DEFINITION: CronDefinition = {
  name: "hourly",
  schedule: { kind: "every", everyMs: HOUR_MS, anchorMs: 0 },
  zone: "UTC",
  sessionTarget: "isolated",
  wakeMode: "now",
  payload: { kind: "agentTurn", message: "look around" },
};

/** Every promise of CronStore, to be run on each adapter. */
export function cronStoreContract(adapter: string, open: OpenStores): void {
  const setup = async () => {
    const world = await storeWorld(open);
    const { cron, tenant, request } = world;
    const holder = unique("leader");
    onTestFinished(() => cron.resign(holder).catch(() => undefined)); // the stores may be closed already

    const add = async (inMs: number | null, over: Partial<CronDefinition> = {}): Promise<CronJob> => {
      const at = await cron.now();
      const job = await cron.add(tenant, randomUUID(), {
        definition: { ...DEFINITION, ...over },
        enabled: true,
        nextRunAt: inMs === null ? null : at + inMs,
      });
      if (typeof job === "string") throw new Error(job);
      return job;
    };
    const work = async (by = holder): Promise<CronWork> => {
      const found = await cron.work(by, TTL_MS, 10_000);
      if (found === null) throw new Error("another one leads");
      const ours = (job: CronJob): boolean => job.tenant === tenant;
      return { ...found, due: found.due.filter(ours), ended: found.ended.filter(({ job }) => ours(job)) };
    };
    const occurrence = (job: CronJob, over: Partial<Occurrence> = {}): Occurrence => {
      const runId = cronRunId(job.jobId, job.nextRunAt ?? 0);
      const key = cronSessionKey(MAIN, job.jobId);
      const accept = request(key, { runId, lane: "cron" });
      return {
        job,
        scheduledAt: job.nextRunAt,
        nextRunAt: (job.nextRunAt ?? 0) + HOUR_MS,
        accept,
        reset: true,
        ...over,
      };
    };
    const current = async (job: CronJob): Promise<CronJob> => (await cron.get(tenant, job.jobId))!;
    /** Works off the session of the job's runs. */
    const carryOut = async (job: CronJob, status: "succeeded" | "failed" = "succeeded"): Promise<void> => {
      const by = await world.worker();
      await world.finish(await world.claim(by, cronSessionKey(MAIN, job.jobId)), { status });
    };
    return { ...world, holder, add, work, occurrence, current, carryOut };
  };

  describe(`CronStore contract: ${adapter}`, () => {
    it("keeps jobs as they were added, by tenant", async () => {
      const { cron, add, tenant, directory, current } = await setup();
      const job = await add(HOUR_MS, { displayName: "Every hour" });
      expect(job).toMatchObject({
        tenant,
        definition: { ...DEFINITION, displayName: "Every hour" },
        enabled: true,
        revision: 1,
        running: null,
        last: null,
        consecutiveErrors: 0,
      });
      expect(await current(job)).toEqual(job);
      const next = await add(null);
      expect(await cron.list(tenant)).toEqual([job, next]);
      expect(await cron.add(tenant, job.jobId, { ...job })).toBe("exists");
      const other = tenantId(unique("tenant"));
      await directory.addTenant(other, "shared");
      expect(await cron.list(other)).toEqual([]);
      expect(await cron.get(other, job.jobId)).toBeNull();
      expect(await cron.remove(other, job.jobId)).toEqual({ removed: false });
      expect(await cron.remove(tenant, job.jobId)).toEqual({ removed: true });
      expect(await cron.list(tenant)).toEqual([next]);
    });

    it("refuses more jobs than a tenant may have", async () => {
      const { cron, tenant } = await setup();
      const wish = { definition: DEFINITION, enabled: true, nextRunAt: null };
      const adding = Array.from({ length: CRON_JOBS_MAX + 3 }, () => cron.add(tenant, randomUUID(), wish));
      const added = await Promise.all(adding);
      expect(added.filter((answer) => answer === "full")).toHaveLength(3);
    });

    it("changes a job that is still as it was read, and no other", async () => {
      const { cron, tenant, add, current } = await setup();
      const job = await add(HOUR_MS);
      const wish = { definition: { ...DEFINITION, name: "daily" }, enabled: false, nextRunAt: null };
      const changed = await cron.replace(tenant, job.jobId, job.revision, wish);
      expect(changed).toMatchObject({ ...wish, revision: job.revision + 1, createdAt: job.createdAt });
      expect(await cron.replace(tenant, job.jobId, job.revision, { ...wish, enabled: true })).toBeNull();
      expect(await current(job)).toEqual(changed);
    });

    it("lets one lead, and finds what is due, the longest overdue first, and when the next will be", async () => {
      const { cron, holder, add, work, passTime } = await setup();
      const late = await add(1_000);
      const later = await add(2_000);
      const soon = await add(90_000);
      await add(null);
      expect((await work()).due).toEqual([]);
      expect(await cron.work(unique("other"), TTL_MS, 1)).toBeNull();
      await passTime(60_000);
      const found = await work();
      expect(found.due.map(({ jobId }) => jobId)).toEqual([late.jobId, later.jobId]);
      const jobs = await cron.list(soon.tenant);
      const next = jobs.find(({ jobId }) => jobId === soon.jobId)?.nextRunAt;
      expect(found.nextDueAt).toBeLessThanOrEqual(next!);
      await cron.resign(holder);
      expect(await cron.work(holder, TTL_MS, 1)).not.toBeNull();
    });

    it("fires an occurrence once, in its lane, and moves the job on in the same step", async () => {
      const { cron, add, work, occurrence, passTime, current, run, tenant } = await setup();
      const added = await add(1_000);
      await passTime(1_001);
      const { term, due } = await work();
      const one = occurrence(due[0]!);
      const [fired] = await cron.fire(term, [one]);
      expect(fired).toMatchObject({ kind: "fired", answer: { kind: "new", ready: { lane: "cron" } } });
      const runId = cronRunId(added.jobId, one.scheduledAt!);
      expect(await run(runId)).toMatchObject({ status: "queued", lane: "cron" });
      expect(await current(added)).toMatchObject({
        nextRunAt: one.nextRunAt,
        running: { runId, manual: false },
      });
      expect(await cron.fire(term, [one])).toEqual([{ kind: "stale" }]);
      expect((await work()).due).toEqual([]);
      expect(await cron.runs(tenant, added.jobId, 10)).toMatchObject([
        { jobId: added.jobId, scheduledAt: one.scheduledAt, run: { runId } },
      ]);
    });

    it("fires an occurrence once however many try at the same moment", async () => {
      const { cron, add, work, occurrence, passTime } = await setup();
      for (let n = 0; n < 5; n++) await add(1_000);
      await passTime(1_001);
      const { term, due } = await work();
      expect(due).toHaveLength(5);
      const tries = await Promise.all(
        Array.from({ length: 4 }, () =>
          cron.fire(
            term,
            due.map((job) => occurrence(job)),
          ),
        ),
      );
      const kinds = tries.flat().map(({ kind }) => kind);
      expect(kinds.filter((kind) => kind === "fired")).toHaveLength(5);
      expect(kinds.filter((kind) => kind === "stale")).toHaveLength(15);
    });

    it("fires nothing for a term that is over, for a job that changed meanwhile, or one that is gone", async () => {
      const { cron, holder, add, work, occurrence, passTime, tenant, current } = await setup();
      const [changed, gone, disabled] = [await add(1_000), await add(1_000), await add(1_000)];
      await passTime(1_001);
      const { term, due } = await work();
      const all = due.map((job) => occurrence(job));
      await cron.resign(holder);
      expect(await cron.fire(term, all)).toEqual(all.map(() => ({ kind: "stale" })));
      const { term: again } = await work();
      await cron.replace(tenant, changed.jobId, changed.revision, await current(changed));
      await cron.remove(tenant, gone.jobId);
      await cron.replace(tenant, disabled.jobId, disabled.revision, {
        ...disabled,
        enabled: false,
        nextRunAt: null,
      });
      expect(await cron.fire(again, all)).toEqual(all.map(() => ({ kind: "stale" })));
      expect(await cron.runs(tenant, null, 10)).toEqual([]);
    });

    it("does not run a job twice at once, and goes on once the end has been settled", async () => {
      const { cron, add, work, occurrence, passTime, carryOut, current } = await setup();
      const job = await add(1_000);
      await passTime(1_001);
      const first = await work();
      await cron.fire(first.term, [occurrence(first.due[0]!)]);
      await passTime(2 * HOUR_MS); // the next time has come and gone
      const waiting = await work();
      expect([waiting.due, waiting.ended]).toEqual([[], []]);
      expect(await cron.fire(null, [occurrence(await current(job), { scheduledAt: null })])).toEqual([
        { kind: "stale" },
      ]);
      await carryOut(job);
      const { ended, term, at } = await work();
      expect(ended).toMatchObject([{ job: { jobId: job.jobId }, run: { status: "succeeded" } }]);
      const settlement = {
        job: ended[0]!.job,
        runId: ended[0]!.run.runId,
        last: { at, status: "ok", error: null, durationMs: 12 } as const,
        consecutiveErrors: 0,
        enabled: true,
        nextRunAt: at + HOUR_MS,
        remove: false,
      };
      expect(await cron.settle(term, [settlement, settlement])).toContain(true);
      expect(await cron.settle(term, [settlement])).toEqual([false]);
      expect(await current(job)).toMatchObject({
        running: null,
        last: { status: "ok", durationMs: 12 },
        nextRunAt: at + HOUR_MS,
      });
      expect((await work()).ended).toEqual([]);
    });

    it("settles nothing on a job that was changed meanwhile", async () => {
      const { cron, add, work, occurrence, passTime, carryOut, current, tenant } = await setup();
      const job = await add(1_000);
      await passTime(1_001);
      const { due, term } = await work();
      await cron.fire(term, [occurrence(due[0]!)]);
      await carryOut(job);
      const { ended, at } = await work();
      await cron.replace(tenant, job.jobId, job.revision, { ...job, nextRunAt: at + 7 * HOUR_MS });
      const settlement = {
        job: ended[0]!.job,
        runId: ended[0]!.run.runId,
        last: { at, status: "ok", error: null, durationMs: 1 } as const,
        consecutiveErrors: 0,
        enabled: true,
        nextRunAt: at + HOUR_MS,
        remove: true,
      };
      expect(await cron.settle(term, [settlement])).toEqual([false]);
      expect(await current(job)).toMatchObject({ nextRunAt: at + 7 * HOUR_MS, running: {} });
      const again = await work();
      expect(await cron.settle(term, [{ ...settlement, job: again.ended[0]!.job }])).toEqual([true]);
      expect(await cron.get(tenant, job.jobId)).toBeNull();
    });

    it("runs a job by hand without a term, and leaves its schedule as it is", async () => {
      const { cron, add, occurrence, current } = await setup();
      const job = await add(HOUR_MS);
      const byHand = occurrence(job, { scheduledAt: null, nextRunAt: null });
      expect(await cron.fire(null, [byHand])).toMatchObject([{ kind: "fired" }]);
      expect(await current(job)).toMatchObject({ nextRunAt: job.nextRunAt, running: { manual: true } });
    });

    it("moves a job on without a run", async () => {
      const { cron, add, work, occurrence, passTime, current, tenant } = await setup();
      const job = await add(1_000);
      await passTime(1_001);
      const { term, due, at } = await work();
      const skip = occurrence(due[0]!, { accept: null, nextRunAt: at + HOUR_MS });
      expect(await cron.fire(term, [skip])).toEqual([{ kind: "moved" }]);
      expect(await current(job)).toMatchObject({ nextRunAt: at + HOUR_MS, running: null });
      expect(await cron.runs(tenant, job.jobId, 10)).toEqual([]);
    });

    it("does not fire an occurrence that another one has moved on from, though the job is due again", async () => {
      const { cron, add, work, occurrence, passTime, current } = await setup();
      const job = await add(1_000);
      await passTime(5_000);
      const { term, due, at } = await work();
      const late = occurrence(due[0]!);
      await cron.fire(term, [occurrence(due[0]!, { accept: null, nextRunAt: at - 1 })]);
      expect(await cron.fire(term, [late])).toEqual([{ kind: "stale" }]);
      expect(await cron.fire(term, [occurrence(await current(job))])).toMatchObject([{ kind: "fired" }]);
    });

    it("fires nothing for a tenant that is shut out, or into a session whose queue is full, and says so", async () => {
      const world = await setup();
      const { cron, add, work, occurrence, passTime, current, directory, tenant, accept } = world;
      const job = await add(1_000);
      await passTime(1_001);
      const { term, due } = await work();
      await directory.setDisabled(tenant, true);
      const refused = { kind: "refused", reason: "tenant-disabled" };
      expect(await cron.fire(term, [occurrence(due[0]!)])).toEqual([refused]);
      expect(await current(job)).toMatchObject({ nextRunAt: due[0]!.nextRunAt, running: null });
      await directory.setDisabled(tenant, false);
      for (let n = 0; n < world.maxQueuedPerSession; n++) await accept(cronSessionKey(MAIN, job.jobId));
      const full = { kind: "refused", reason: "session-queue-full" };
      expect(await cron.fire(term, [occurrence(due[0]!)])).toEqual([full]);
    });

    it("begins the job's session anew with each run that asks for it", async () => {
      const { cron, add, work, occurrence, carryOut, current, transcript, sessions, tenant } = await setup();
      const job = await add(HOUR_MS);
      const key = cronSessionKey(MAIN, job.jobId);
      const byHand = async (text: string): Promise<void> => {
        const seen = await current(job);
        const one = occurrence(seen, { scheduledAt: null });
        const accept = {
          ...one.accept!,
          runId: cronRunId(job.jobId, text.length),
          input: { body: textBody("user", text), options: {} },
        };
        expect(await cron.fire(null, [{ ...one, accept }])).toMatchObject([{ kind: "fired" }]);
        await carryOut(job);
      };
      await byHand("one");
      const before = await sessions.get(tenant, key);
      expect(before).toMatchObject({ lifecycleRevision: 1 });
      const { ended, term, at } = await work();
      const last = { at, status: "ok", error: null, durationMs: 1 } as const;
      const how = { consecutiveErrors: 0, enabled: true, nextRunAt: null, remove: false };
      await cron.settle(term, [{ job: ended[0]!.job, runId: ended[0]!.run.runId, last, ...how }]);
      await byHand("second");
      const rows = await transcript(key);
      expect(rows.map(({ runId }) => runId)).not.toContain(cronRunId(job.jobId, "one".length));
      expect(await sessions.get(tenant, key)).toMatchObject({
        lifecycleRevision: 2,
        sessionId: before!.sessionId,
      });
    });
  });
}
