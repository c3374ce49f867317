import { randomUUID } from "node:crypto";
import { describe, expect, it, onTestFinished } from "vitest";
import { memoryCronStore } from "../adapters/memory/cron-store.ts";
import { memoryObjectStore } from "../adapters/memory/object-store.ts";
import { memoryRunLedger } from "../adapters/memory/run-ledger.ts";
import { memoryStoreState } from "../adapters/memory/state.ts";
import { memoryTenantDirectory } from "../adapters/memory/tenant-directory.ts";
import { bodyStore } from "../bodies/body-store.ts";
import type { CronDefinition, CronJob } from "../core/cron.ts";
import { sessionKey, type TenantId, tenantId, workerId } from "../core/ids.ts";
import type { Notice } from "../core/run-event.ts";
import type { ReadySession } from "../ports/run-queue.ts";
import { breakable } from "../testing/breakable.ts";
import { fakeClock } from "../testing/fake-clock.ts";
import { recordingLogger } from "../testing/recording-logger.ts";
import { seededRandom } from "../testing/seeded-random.ts";
import { TEST_CATALOG } from "../testing/test-catalog.ts";
import { CRON_TERM_MS, cronRunner } from "./cron.ts";

const ACME = tenantId("acme");
const MINUTE = 60_000;
const PASS_MS = 500;

const DEFINITION: CronDefinition = {
  name: "job",
  schedule: { kind: "every", everyMs: MINUTE, anchorMs: 0 },
  zone: "UTC",
  sessionTarget: "isolated",
  wakeMode: "now",
  payload: { kind: "agentTurn", message: "hi", timeoutSeconds: 7 },
};

const setup = async () => {
  const clock = fakeClock();
  const state = memoryStoreState({ clock });
  const ledger = memoryRunLedger(state, { maxQueuedPerSession: 1 });
  const directory = memoryTenantDirectory(state);
  await directory.addTenant(ACME, "shared");
  const cron = breakable(memoryCronStore(state, 1));
  const woken: ReadySession[] = [];
  const told: Notice[] = [];
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  const runner = (holder: string) =>
    cronRunner({
      cron: cron.port,
      bodies: bodyStore({ objects: memoryObjectStore(), clock, logger: recordingLogger() }),
      queue: {
        enqueue: async (sessions) => (
          woken.push(...sessions),
          sessions.map(() => ({ added: true, backlog: 0 }))
        ),
      },
      bus: { notify: async (_tenant, notice) => void told.push(notice) },
      catalog: TEST_CATALOG,
      clock,
      random: seededRandom(1),
      logger: recordingLogger(),
      holder,
    });
  const leader = runner("control-1.a");
  const add = async (
    inMs: number,
    over: Partial<CronDefinition> = {},
    tenant: TenantId = ACME,
  ): Promise<CronJob> => {
    const definition = { ...DEFINITION, ...over };
    const job = await cron.port.add(tenant, randomUUID(), {
      definition,
      enabled: true,
      nextRunAt: clock.now() + inMs,
    });
    return job as CronJob;
  };
  /** Turns the leader's loop for a while. */
  const lead = async (ms: number): Promise<void> => {
    for (const end = clock.monotonic() + ms; clock.monotonic() < end;) {
      const over = new AbortController();
      const pass = leader.pass(PASS_MS, stop.signal).finally(() => over.abort());
      await clock.advance(0);
      for (let passed = 0; passed < PASS_MS; passed += 10) await clock.advance(10);
      while (!over.signal.aborted) await clock.advance(10);
      await pass;
    }
  };
  const current = async ({ tenant, jobId }: CronJob) => (await cron.port.get(tenant, jobId))!;
  const worker = workerId("w.1");
  await ledger.registerWorker({ worker, instance: "w", pools: ["shared"], slots: 9 }, "held");
  const carryOut = async (job: CronJob, status: "succeeded" | "failed" = "succeeded"): Promise<void> => {
    const key = sessionKey(`agent:main:cron:${job.jobId}`);
    const [claimed] = await ledger.claim(worker, [{ tenant: job.tenant, sessionKey: key }]);
    if (claimed?.kind !== "granted") throw new Error(`nothing to do in ${key}: ${claimed?.kind}`);
    const result = status === "succeeded" ? { text: "done", stopReason: "stop" } : null;
    const error = status === "failed" ? { kind: "model_rejected", message: "no" } : null;
    await ledger.finish([
      { grant: claimed.grant, status, result, error, steps: [], messages: [], takeNext: false },
    ]);
  };
  return { clock, cron, ledger, directory, runner, leader, add, lead, current, carryOut, woken, told, stop };
};

describe("the control process's cron", () => {
  it("fires a job on time, wakes a worker, and goes on after its run", async () => {
    const { clock, cron, ledger, add, lead, current, carryOut, woken, told } = await setup();
    const job = await add(1_230);
    const due = job.nextRunAt!;
    await lead(3_000);
    const [fired] = await cron.port.runs(ACME, job.jobId, 9);
    expect(fired).toMatchObject({ scheduledAt: due, run: { status: "queued", lane: "cron" } });
    expect(fired!.firedAt - due).toBeLessThan(100);
    expect(woken).toEqual([
      { tenant: ACME, sessionKey: fired!.run.sessionKey, lane: "cron", pool: "shared" },
    ]);
    expect(await ledger.get(ACME, fired!.run.runId)).toMatchObject({
      sessionKey: `agent:main:cron:${job.jobId}`,
    });
    await carryOut(job);
    const endedAt = clock.now();
    await lead(1_000);
    expect(await current(job)).toMatchObject({
      running: null,
      last: { at: fired!.firedAt, status: "ok" },
      nextRunAt: fired!.firedAt + MINUTE,
      consecutiveErrors: 0,
    });
    expect((await current(job)).last!.durationMs).toBe(endedAt - fired!.firedAt);
    expect(told).toMatchObject([
      { type: "cron", action: "started", jobId: job.jobId },
      { type: "cron", action: "finished", jobId: job.jobId, status: "ok", summary: "done" },
    ]);
  });

  it("puts a long message into an object before its run is accepted", async () => {
    const { ledger, add, lead } = await setup();
    const message = "x".repeat(100_000);
    const job = await add(100, { payload: { kind: "agentTurn", message } });
    await lead(1_000);
    const key = sessionKey(`agent:main:cron:${job.jobId}`);
    const [claimed] = await ledger.claim(workerId("w.1"), [{ tenant: ACME, sessionKey: key }]);
    expect(claimed).toMatchObject({ grant: { input: { body: { object: { bytes: expect.any(Number) } } } } });
  });

  it("runs a short interval in time, however often", async () => {
    const { cron, add, lead, carryOut, current } = await setup();
    const job = await add(1_000, { schedule: { kind: "every", everyMs: 1_000, anchorMs: 0 } });
    for (let n = 1; n <= 5; n++) {
      while ((await current(job)).running === null) await lead(PASS_MS);
      await carryOut(job);
      await lead(PASS_MS);
    }
    const times = (await cron.port.runs(ACME, job.jobId, 9)).map(
      ({ firedAt, scheduledAt }) => firedAt - scheduledAt!,
    );
    expect(times).toHaveLength(5);
    for (const late of times) expect(late).toBeLessThan(PASS_MS + 100);
  });

  it("makes a missed job up once, and of many missed ones some at once and the rest one by one", async () => {
    const { clock, cron, add, lead, directory } = await setup();
    const other = tenantId("other");
    await directory.addTenant(other, "shared");
    const jobs: CronJob[] = [];
    for (let n = 0; n < 8; n++) jobs.push(await add(1_000 + n));
    const theirs = await add(1_000, {}, other);
    await clock.advance(10 * MINUTE); // nobody led
    await lead(1_000);
    const fired = async () => new Set((await cron.port.runs(ACME, null, 99)).map(({ jobId }) => jobId));
    expect([...(await fired())].toSorted()).toEqual(
      jobs
        .slice(0, 5)
        .map(({ jobId }) => jobId)
        .toSorted(),
    );
    expect(await cron.port.runs(other, theirs.jobId, 9)).toHaveLength(1);
    await lead(5_000);
    expect((await fired()).size).toBe(6);
    await lead(10_000);
    expect(await cron.port.runs(ACME, null, 99)).toHaveLength(8);
  });

  it("rests after a failure", async () => {
    const { add, lead, current, carryOut, clock } = await setup();
    const job = await add(1_000, { schedule: { kind: "every", everyMs: 2_000, anchorMs: 0 } });
    await lead(2_000);
    await carryOut(job, "failed");
    const endedAt = clock.now();
    await lead(1_000);
    expect(await current(job)).toMatchObject({
      consecutiveErrors: 1,
      nextRunAt: endedAt + 30_000,
      last: { error: "no" },
    });
  });

  it("removes a job for one time that has run well, and says so", async () => {
    const { clock, cron, add, lead, carryOut, told } = await setup();
    const at = new Date(clock.now() + 1_000).toISOString();
    const job = await add(1_000, { schedule: { kind: "at", at }, deleteAfterRun: true });
    await lead(2_000);
    await carryOut(job);
    await lead(1_000);
    expect(await cron.port.get(ACME, job.jobId)).toBeNull();
    expect(told.at(-1)).toEqual({ type: "cron", action: "removed", jobId: job.jobId });
    expect(await cron.port.runs(ACME, job.jobId, 9)).toMatchObject([{ run: { status: "succeeded" } }]);
  });

  it("leaves jobs of a tenant that is shut out, and those whose session has no room, for later", async () => {
    const { clock, add, lead, current, directory, ledger, cron } = await setup();
    const at = new Date(clock.now() + 1_000).toISOString();
    const [recurring, once] = [await add(1_000), await add(1_000, { schedule: { kind: "at", at } })];
    await directory.setDisabled(ACME, true);
    await lead(2_000);
    expect((await current(recurring)).nextRunAt! - clock.now()).toBeGreaterThan(0);
    expect((await current(once)).nextRunAt! - clock.now()).toBeGreaterThan(9 * MINUTE);
    await directory.setDisabled(ACME, false);
    await clock.advance(11 * MINUTE);
    await lead(1_000);
    expect(await cron.port.runs(ACME, once.jobId, 9)).toHaveLength(1);
    const busy = await add(1_000);
    await ledger.accept([fill(busy)]);
    await lead(2_000);
    expect((await current(busy)).nextRunAt! - clock.now()).toBeGreaterThan(MINUTE / 3);
    expect(await cron.port.runs(ACME, busy.jobId, 9)).toEqual([]);
  });

  it("is led by one at a time, and by the next one when that is silent, or at once when it resigns", async () => {
    const { clock, cron, runner, leader, add, stop } = await setup();
    const second = runner("control-2.b");
    await leader.pass(0, stop.signal);
    const job = await add(0);
    await second.pass(0, stop.signal);
    expect(await cron.port.runs(ACME, job.jobId, 9)).toEqual([]);
    await clock.advance(CRON_TERM_MS + 1);
    await second.pass(0, stop.signal);
    expect(await cron.port.runs(ACME, job.jobId, 9)).toHaveLength(1);
    const next = await add(0);
    await leader.pass(0, stop.signal);
    expect(await cron.port.runs(ACME, next.jobId, 9)).toEqual([]);
    await second.resign();
    await leader.pass(0, stop.signal);
    expect(await cron.port.runs(ACME, next.jobId, 9)).toHaveLength(1);
  });

  it("loses nothing while the store is away, also where it took what it did not confirm", async () => {
    const { cron, leader, add, stop, current } = await setup();
    const job = await add(0);
    cron.break("after", ["fire"]);
    await expect(leader.pass(0, stop.signal)).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
    cron.mend();
    await leader.pass(0, stop.signal);
    await leader.pass(0, stop.signal);
    expect(await cron.port.runs(ACME, job.jobId, 9)).toHaveLength(1);
    expect(await current(job)).toMatchObject({ running: {} });
  });
});

const fill = (job: CronJob) => ({
  tenant: job.tenant,
  runId: randomUUID() as never,
  sessionKey: sessionKey(`agent:main:cron:${job.jobId}`),
  agentId: TEST_CATALOG.defaultAgentId,
  lane: "cron" as const,
  requestHash: "0".repeat(64),
  input: { body: { inline: { role: "user", content: "x", timestamp: 1 } as const }, options: {} },
  newSessionId: randomUUID(),
});
