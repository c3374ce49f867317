import { describe, expect, it } from "vitest";
import { workerId } from "../../core/ids.ts";
import { MAX_FAILURES, MAX_LOSSES } from "../../core/run.ts";
import { until } from "../../testing/until.ts";
import type { Grant, Step } from "../run-ledger.ts";
import type { OpenStores } from "./store-fixture.ts";
import { message, newKey, storeWorld, type StoreWorld, unique } from "./store-world.ts";

/** What RunLedger does about workers that fall silent or crash, and about runs that take them down. */
export function ledgerCrashContract(open: OpenStores): void {
  describe("takeover", () => {
    it("gives a silent holder's session to whoever claims it, at the run's resume point", async () => {
      const { worker, accept, claim, checkpoint, silence, run } = await storeWorld(open);
      const key = newKey();
      const { runId } = await accept(key);
      await accept(key);
      const [old, young] = [await worker("old"), await worker("young")];
      const stale = await claim(old, key);
      await checkpoint(stale, 1, { steps: [{ kind: "model", stepNo: 1 }], messages: [message("half")] });
      await silence(young);
      const grant = await claim(young, key);
      expect(grant).toMatchObject({ runId, attempt: 2, failures: 1, stepsDone: 1, headSeq: 2 });
      expect(grant.token).toBeGreaterThan(stale.token);
      expect(await run(runId)).toMatchObject({ status: "running", worker: young, attempt: 2, failures: 1 });
    });

    it("leaves a silent worker its other sessions, until somebody takes them", async () => {
      const { worker, accept, claim, checkpointAs, silence } = await storeWorld(open);
      const [a, b] = [newKey("a"), newKey("b")];
      await accept(a);
      await accept(b);
      const [old, young] = [await worker("old"), await worker("young")];
      const [first, second] = [await claim(old, a), await claim(old, b)];
      await silence(young);
      await claim(young, a);
      expect(await checkpointAs(first, 1)).toEqual({ kind: "fenced" });
      expect(await checkpointAs(second, 1)).toMatchObject({ kind: "stored" });
    });

    it("forgets lost attempts as soon as there is progress", async () => {
      const world = await storeWorld(open);
      const key = newKey();
      const { runId } = await world.accept(key);
      const step = (stepNo: number): Step => ({ kind: "model", stepNo });
      for (let i = 0; i < 2 * MAX_FAILURES; i++) {
        const grant = await world.claim(await world.worker(`worker-${i}`), key);
        expect(grant).toMatchObject({ runId, attempt: i + 1, failures: i === 0 ? 0 : 1 });
        await world.checkpoint(grant, 1, { steps: [step(i + 1)], messages: [message(`part ${i}`)] });
        expect(await world.run(runId)).toMatchObject({ failures: 0 });
        await world.silence();
        expect((await world.sweep()).buried).toEqual([]);
      }
    });

    it("takes neither an empty checkpoint nor a tool that only started for progress", async () => {
      const world = await storeWorld(open);
      const key = newKey();
      const { runId } = await world.accept(key);
      const poison = {
        kind: "tool_started",
        toolCallId: "boom",
        toolName: "boom",
        idempotent: true,
      } as const;
      for (let i = 1; i < MAX_FAILURES; i++) {
        const grant = await world.claim(await world.worker(`worker-${i}`), key);
        await world.checkpoint(grant, 1);
        await world.checkpoint(grant, 2, { steps: [{ ...poison, stepNo: i }] });
        await world.silence();
        await world.sweep();
        expect(await world.run(runId)).toMatchObject({ status: "queued", failures: i });
      }
    });
  });

  describe("sweep", () => {
    it("finds silent workers once and readies what they held", async () => {
      const { worker, accept, claim, silence, sweep, ready, readyKeys, run, pool } = await storeWorld(open);
      const [a, b] = [newKey("a"), newKey("b")];
      const first = await accept(a);
      await accept(a);
      await accept(b);
      const [old, young] = [await worker("old"), await worker("young")];
      await claim(old, a);
      await claim(young, b);
      expect(await sweep()).toEqual({ deadWorkers: [], readied: [], buried: [] });
      await silence(young);
      expect(await sweep()).toEqual({
        deadWorkers: [{ worker: old, pools: [pool] }],
        readied: [ready(a)],
        buried: [],
      });
      expect(await sweep()).toEqual({ deadWorkers: [], readied: [], buried: [] });
      expect(await readyKeys()).toEqual([a]);
      expect(await run(first.runId)).toMatchObject({ status: "queued", worker: null, failures: 1 });
    });

    it("does no harm when it runs in many places at once", async () => {
      const { worker, accept, claim, silence, sweep, ready, run } = await storeWorld(open);
      const key = newKey();
      const { runId } = await accept(key);
      const old = await worker("old");
      await claim(old, key);
      await silence();
      const reports = await Promise.all(Array.from({ length: 6 }, sweep));
      expect(reports.flatMap(({ deadWorkers }) => deadWorkers.map((dead) => dead.worker))).toEqual([old]);
      expect(reports.flatMap(({ readied }) => readied)).toEqual([ready(key)]);
      expect(await run(runId)).toMatchObject({ failures: 1 });
    });

    it("fences the dead worker, also before anybody else takes its session", async () => {
      const { worker, accept, claim, checkpointAs, finishAs, silence, sweep, run } = await storeWorld(open);
      const key = newKey();
      const { runId } = await accept(key);
      const stale = await claim(await worker(), key);
      await silence();
      await sweep();
      expect(await checkpointAs(stale, 1, { messages: [message("late")] })).toEqual({ kind: "fenced" });
      expect(await finishAs(stale)).toEqual({ kind: "fenced" });
      expect(await run(runId)).toMatchObject({ status: "queued" });
    });

    it("reports a dead worker also where a claim has taken its session before", async () => {
      const { worker, accept, claim, silence, sweep, pool } = await storeWorld(open);
      const key = newKey();
      await accept(key);
      const [old, young] = [await worker("old"), await worker("young")];
      await claim(old, key);
      await silence(young);
      await claim(young, key);
      expect(await sweep()).toEqual({
        deadWorkers: [{ worker: old, pools: [pool] }],
        readied: [],
        buried: [],
      });
    });

    it("buries a run that took so many workers down in a row, and its session goes on", async () => {
      const world = await storeWorld(open);
      const { accept, worker, claim, silence, sweep, run, ready } = world;
      const key = newKey();
      const poison = await accept(key);
      const next = await accept(key);
      const last = await loseWorkers(world, key, MAX_FAILURES - 1);
      const grant = await claim(await worker("last"), key);
      expect(grant).toMatchObject({ runId: poison.runId, failures: MAX_FAILURES - 1 });
      await silence();
      const report = await sweep();
      expect(report.readied).toEqual([ready(key)]);
      expect(report.buried).toEqual([{ run: await run(poison.runId), token: expect.any(Number) }]);
      expect(report.buried[0]!.token).toBeGreaterThan(Math.max(grant.token, last.token));
      expect(report.buried[0]!.run).toMatchObject({
        status: "dead",
        failures: MAX_FAILURES,
        error: { kind: "worker_lost", message: expect.any(String) },
        endedAt: expect.any(Number),
      });
      const after = await claim(await worker("after"), key);
      expect(after).toMatchObject({ runId: next.runId, attempt: 1, failures: 0 });
      expect(after.token).toBeGreaterThan(report.buried[0]!.token);
    });

    it("buries a run that took too many workers down in all, whatever progress it made in between", async () => {
      const world = await storeWorld(open);
      const key = newKey();
      const { runId } = await world.accept(key);
      const loseWithProgress = async (no: number) => {
        const grant = await world.claim(await world.worker(`lost-${no}`), key);
        await world.checkpoint(grant, 1, {
          steps: [{ kind: "model", stepNo: no }],
          messages: [message(`part ${no}`)],
        });
        return grant;
      };
      for (let i = 1; i < MAX_LOSSES; i++) {
        await loseWithProgress(i);
        await world.silence();
        expect((await world.sweep()).buried).toEqual([]);
      }
      const young = await world.worker("young");
      const last = await loseWithProgress(MAX_LOSSES);
      await world.silence(young);
      expect(await world.claimAs(young, key)).toEqual({ kind: "busy" });
      const [buried] = (await world.sweep()).buried;
      expect(buried!.token).toBeGreaterThan(last.token);
      expect(buried!.run).toMatchObject({
        runId,
        status: "dead",
        attempt: MAX_LOSSES,
        failures: 1,
        error: { kind: "worker_lost", message: expect.stringContaining(`${MAX_LOSSES} workers in all`) },
      });

      await world.ledger.redrive(world.tenant, runId);
      await loseWithProgress(1);
      await world.silence();
      expect(await world.sweep()).toMatchObject({ readied: [world.ready(key)], buried: [] });
    });

    it("makes nothing ready where the buried run was the last one", async () => {
      const world = await storeWorld(open);
      const key = newKey();
      await world.accept(key);
      await loseWorkers(world, key, MAX_FAILURES - 1);
      await world.claim(await world.worker("last"), key);
      await world.silence();
      expect(await world.sweep()).toMatchObject({ readied: [], buried: [{ run: { status: "dead" } }] });
      expect(await world.readyKeys()).toEqual([]);
    });

    it("is left to bury by claims: they answer busy, so that the end is announced", async () => {
      const world = await storeWorld(open);
      const key = newKey();
      const { runId } = await world.accept(key);
      await loseWorkers(world, key, MAX_FAILURES - 1);
      const young = await world.worker("young");
      await world.claim(await world.worker("last"), key);
      await world.silence(young);
      expect(await world.claimAs(young, key)).toEqual({ kind: "busy" });
      expect((await world.sweep()).buried.map(({ run }) => run.runId)).toEqual([runId]);
      expect(await world.claimAs(young, key)).toEqual({ kind: "empty" });
    });

    it("finds a crashed worker by its lock, long before its silence would tell", async (context) => {
      const world = await storeWorld(open);
      const { ledger, accept, claim, sweep, ready, pool } = world;
      const startProcess = world.startProcess ?? context.skip("only silence tells here");
      const [crashed, alive] = [workerId(unique("crashed")), workerId(unique("alive"))];
      const [process, other] = [await startProcess(crashed), await startProcess(alive)];
      const keys = [newKey("a"), newKey("b")] as const;
      for (const [i, id] of [crashed, alive].entries()) {
        await ledger.registerWorker({ worker: id, instance: "w", pools: [pool], slots: 8 }, "held");
        await accept(keys[i]!);
        await claim(id, keys[i]!);
      }
      expect((await sweep()).deadWorkers).toEqual([]);
      await process.crash();
      const dead: string[] = [];
      const readied: unknown[] = [];
      // A lock that was found free has to stay so for a moment: it is the sweeps that find it out.
      await until(
        async () => {
          const report = await sweep();
          dead.push(...report.deadWorkers.map(({ worker: id }) => id));
          return readied.push(...report.readied) > 0;
        },
        { timeoutMs: 5_000, what: "the sweep to find the crashed worker" },
      );
      expect(dead).toEqual([crashed]);
      expect(readied).toEqual([ready(keys[0])]);
      await other.crash();
    });

    it("does not take a free lock for a death where the worker never had one", async () => {
      const { ledger, worker, sweep, passTime } = await storeWorld(open);
      const by = await worker();
      for (let i = 0; i < 4; i++) {
        await passTime(2_000);
        expect((await sweep()).deadWorkers).toEqual([]);
      }
      expect(await ledger.heartbeat(by, "absent")).toMatchObject({ kind: "alive" });
    });
  });
}

/** Loses so many workers over the run at the head of a session; answers the last grant. */
async function loseWorkers(world: StoreWorld, key: Grant["sessionKey"], count: number): Promise<Grant> {
  let grant: Grant | null = null;
  for (let i = 0; i < count; i++) {
    grant = await world.claim(await world.worker(`lost-${i}`), key);
    await world.silence();
    expect((await world.sweep()).buried).toEqual([]);
  }
  return grant!;
}
