import { describe, expect, it } from "vitest";
import { workerId } from "../../core/ids.ts";
import type { OpenStores } from "./store-fixture.ts";
import { newKey, storeWorld, unique } from "./store-world.ts";

/** RunLedger.registerWorker, heartbeat, retireWorker and workers. */
export function ledgerWorkersContract(open: OpenStores): void {
  describe("workers", () => {
    it("live as long as their heartbeats come", async () => {
      const { ledger, worker, accept, claim, claimAs, silence } = await storeWorld(open);
      const key = newKey();
      await accept(key);
      const [holder, other] = [await worker("holder"), await worker("other")];
      await claim(holder, key);
      for (let i = 0; i < 3; i++) await silence(holder, other);
      await ledger.sweep();
      expect(await claimAs(other, key)).toEqual({ kind: "busy" });
      expect(await ledger.heartbeat(holder, "absent")).toEqual({ kind: "alive", aborts: [] });
    });

    it("are told at their heartbeat which of their runs shall be aborted", async () => {
      const { ledger, worker, accept, claim, tenant } = await storeWorld(open);
      const [a, b] = [newKey("a"), newKey("b")];
      await accept(a);
      await accept(b);
      const by = await worker();
      const { sessionKey, runId, token } = await claim(by, a);
      await claim(by, b);
      await ledger.abort(tenant, { runId });
      const marked = { tenant, sessionKey, runId, token };
      expect(await ledger.heartbeat(by, "absent")).toEqual({ kind: "alive", aborts: [marked] });
    });

    it("learn at their heartbeat that they are dead, and stay so whatever they send", async () => {
      const { ledger, worker, silence, sweep } = await storeWorld(open);
      expect(await ledger.heartbeat(workerId(unique("stranger")), "absent")).toEqual({ kind: "dead" });
      const by = await worker("by");
      await silence();
      await sweep();
      expect(await ledger.heartbeat(by, "absent")).toEqual({ kind: "dead" });
      await ledger.registerWorker({ worker: by, instance: "by", pools: ["shared"], slots: 8 }, "absent");
      expect(await ledger.heartbeat(by, "absent")).toEqual({ kind: "dead" });
    });

    it("are listed with what they execute while they live", async () => {
      const { ledger, worker, accept, claim, silence, sweep, pool } = await storeWorld(open);
      const [busy, idle] = [await worker("busy"), await worker("idle")];
      const key = newKey();
      await accept(key);
      await claim(busy, key);
      const mine = async () => (await ledger.workers()).filter(({ pools }) => pools.includes(pool));
      const view = {
        pools: [pool],
        slots: 8,
        startedAt: expect.any(Number),
        heartbeatAt: expect.any(Number),
      };
      const views = await mine();
      expect(views).toHaveLength(2);
      expect(views).toContainEqual({ ...view, worker: busy, instance: "busy", running: 1 });
      expect(views).toContainEqual({ ...view, worker: idle, instance: "idle", running: 0 });
      await silence(idle);
      await sweep();
      expect((await mine()).map(({ worker: id }) => id)).toEqual([idle]);
      await ledger.retireWorker(idle);
      expect(await mine()).toEqual([]);
    });

    it("may register twice and keep what they hold", async () => {
      const { ledger, worker, accept, claim, checkpoint, pool } = await storeWorld(open);
      const key = newKey();
      await accept(key);
      const by = await worker("by");
      const grant = await claim(by, key);
      await ledger.registerWorker({ worker: by, instance: "by", pools: [pool], slots: 8 }, "absent");
      expect(await checkpoint(grant, 1)).toMatchObject({ kind: "stored" });
    });

    it("hand over at once when they retire, counted as no failure", async () => {
      const { ledger, worker, accept, claim, checkpointAs, ready, run } = await storeWorld(open);
      const key = newKey();
      const { runId } = await accept(key);
      const by = await worker("old");
      const stale = await claim(by, key);
      expect(await ledger.retireWorker(by)).toEqual([ready(key)]);
      expect(await ledger.retireWorker(by)).toEqual([]);
      expect(await ledger.heartbeat(by, "absent")).toEqual({ kind: "dead" });
      expect(await checkpointAs(stale, 1)).toEqual({ kind: "fenced" });
      expect(await run(runId)).toMatchObject({ status: "queued", failures: 0 });
      expect(await claim(await worker("young"), key)).toMatchObject({ runId, attempt: 2, failures: 0 });
    });
  });
}
