import { describe, expect, it } from "vitest";
import type { SessionKey } from "../../core/ids.ts";
import { tenantId } from "../../core/ids.ts";
import type { Lane } from "../../core/lane.ts";
import type { OpenStores } from "./store-fixture.ts";
import { newKey, storeWorld, type StoreWorld, unique } from "./store-world.ts";

const WIDE = { main: 100, subagent: 100, cron: 100 };

/** RunLedger without the queue: what is ready, who may take it, how much there is. */
export function ledgerReadyContract(open: OpenStores): void {
  describe("readySessions", () => {
    it("lists what waits, the longest first, a page at a time", async () => {
      const world = await storeWorld(open);
      const keys = await readyOneByOne(world, 5);
      expect(await world.readyKeys()).toEqual(keys);
      expect(await world.readyKeys(0, 2)).toEqual(keys);
    });

    it("pages through sessions that became ready at the same moment", async () => {
      const { ledger, request, readyKeys } = await storeWorld(open);
      const batch = Array.from({ length: 7 }, () => request(newKey()));
      await ledger.accept(batch);
      const keys = await readyKeys(0, 3);
      expect(keys.sort()).toEqual(batch.map(({ sessionKey }) => sessionKey).sort());
    });

    it("leaves out those that have not waited long enough", async () => {
      const { accept, passTime, readyKeys } = await storeWorld(open);
      const [old, young] = [newKey("old"), newKey("young")];
      await accept(old);
      await passTime(60_000);
      await accept(young);
      expect(await readyKeys(30_000)).toEqual([old]);
      expect(await readyKeys()).toEqual([old, young]);
    });

    it("does not list what is held or idle", async () => {
      const { accept, worker, claim, finish, readyKeys } = await storeWorld(open);
      const [held, done] = [newKey("held"), newKey("done")];
      const by = await worker();
      await accept(done);
      await finish(await claim(by, done));
      await accept(held);
      await claim(by, held);
      await accept(held);
      expect(await readyKeys()).toEqual([]);
    });
  });

  describe("claimReady", () => {
    it("claims the sessions that have waited longest", async () => {
      const world = await storeWorld(open);
      const keys = await readyOneByOne(world, 4);
      const by = await world.worker();
      const grants = await world.ledger.claimReady(by, [world.pool], 3, WIDE);
      expect(grants.map(({ sessionKey }) => sessionKey).sort()).toEqual(keys.slice(0, 3).sort());
      expect(grants.every(({ attempt, userRow }) => attempt === 1 && userRow.seq === 1)).toBe(true);
      expect(await world.readyKeys()).toEqual(keys.slice(3));
    });

    it("looks only at the worker's pools", async () => {
      const { ledger, accept, worker, pool } = await storeWorld(open);
      await accept(newKey());
      const by = await worker();
      expect(await ledger.claimReady(by, [unique("pool")], 10, WIDE)).toEqual([]);
      expect(await ledger.claimReady(by, [unique("pool"), pool], 10, WIDE)).toHaveLength(1);
    });

    it("stays within a tenant's lane widths, and counts what runs already", async () => {
      const { ledger, accept, worker, pool, claim, finish } = await storeWorld(open);
      const by = await worker();
      for (let i = 0; i < 5; i++) await accept(newKey("main"));
      for (let i = 0; i < 3; i++) await accept(newKey("cron"), { lane: "cron" });
      for (let i = 0; i < 4; i++) await accept(newKey("subagent"), { lane: "subagent" });
      const held = newKey("held");
      await accept(held);
      const grant = await claim(await worker("other"), held);
      const widths = { main: 3, subagent: 2, cron: 1 };
      const lanes = async (): Promise<Lane[]> =>
        (await ledger.claimReady(by, [pool], 10, widths)).map(({ lane }) => lane).sort();
      expect(await lanes()).toEqual(["cron", "main", "main", "subagent", "subagent"]);
      expect(await lanes()).toEqual([]);
      await finish(grant);
      expect(await lanes()).toEqual(["main"]);
    });

    it("lets no tenant wait behind another one's full lane", async () => {
      const { ledger, accept, worker, pool, directory, request } = await storeWorld(open);
      for (let i = 0; i < 4; i++) await accept(newKey());
      const other = tenantId(unique("tenant"));
      await directory.addTenant(other, pool);
      await ledger.accept([request(newKey(), { tenant: other })]);
      const grants = await ledger.claimReady(await worker(), [pool], 3, { ...WIDE, main: 1 });
      expect(grants).toHaveLength(2);
      expect(grants.map(({ tenant }) => tenant)).toContain(other);
    });

    it("stays within the widths also between those who ask at the same moment", async () => {
      const { ledger, accept, worker, pool } = await storeWorld(open);
      for (let i = 0; i < 10; i++) await accept(newKey());
      const workers = await Promise.all(Array.from({ length: 4 }, (_, i) => worker(`worker-${i}`)));
      const widths = { ...WIDE, main: 3 };
      const claims = await Promise.all(workers.map((by) => ledger.claimReady(by, [pool], 4, widths)));
      expect(claims.flat()).toHaveLength(3);
    });

    it("gives a session to one of those who ask at the same moment", async () => {
      const { ledger, accept, worker, pool } = await storeWorld(open);
      for (let i = 0; i < 10; i++) await accept(newKey());
      const workers = await Promise.all(Array.from({ length: 4 }, (_, i) => worker(`worker-${i}`)));
      const claims = await Promise.all(workers.map((by) => ledger.claimReady(by, [pool], 4, WIDE)));
      const keys = claims.flat().map(({ sessionKey }) => sessionKey);
      expect(new Set(keys).size).toBe(keys.length);
      const rest = await ledger.claimReady(await worker("last"), [pool], 10, WIDE);
      expect(keys.length + rest.length).toBe(10);
    });
  });

  describe("backlog", () => {
    it("sums what is ready and running, and how long the oldest has waited", async () => {
      const { ledger, accept, worker, claim, finish, passTime } = await storeWorld(open);
      const before = await ledger.backlog();
      const [a, b, c] = [newKey("a"), newKey("b"), newKey("c")];
      for (const key of [a, a, b, c]) await accept(key);
      const grant = await claim(await worker(), a);
      const now = await ledger.backlog();
      expect([now.ready - before.ready, now.running - before.running]).toEqual([2, 1]);
      await passTime(5_000);
      expect((await ledger.backlog()).oldestReadyMs).toBeGreaterThanOrEqual(5_000);
      const { next } = await finish(grant);
      await finish(next!);
      expect((await ledger.backlog()).running).toBe(before.running);
    });
  });
}

/** Sessions that became ready a second apart, in that order. */
async function readyOneByOne({ accept, passTime }: StoreWorld, count: number): Promise<SessionKey[]> {
  const keys: SessionKey[] = [];
  for (let i = 0; i < count; i++) {
    keys.push(newKey(`s${i}`));
    await accept(keys[i]!);
    await passTime(1_000);
  }
  return keys;
}
