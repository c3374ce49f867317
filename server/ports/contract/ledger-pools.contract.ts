import { describe, expect, it } from "vitest";
import type { OpenStores } from "./store-fixture.ts";
import { newKey, storeWorld, unique } from "./store-world.ts";

const WIDTHS = { main: 64, subagent: 8, cron: 8 };

/** Whose workers execute the runs of a tenant, also while it is moved. */
export function ledgerPoolsContract(open: OpenStores): void {
  describe("pools of tenants", () => {
    it("grants nothing to a worker that does not serve the tenant's pool", async () => {
      const { accept, claimAs, worker, claim, ledger } = await storeWorld(open);
      const key = newKey();
      await accept(key);
      const stranger = await worker("stranger", [unique("pool")]);
      expect(await claimAs(stranger, key)).toEqual({ kind: "empty" });
      expect(await ledger.claimReady(stranger, [unique("pool")], 10, WIDTHS)).toEqual([]);
      await claim(await worker(), key);
    });

    it("gives what waits to the new pool when a tenant is moved, and the old pool gets none of it", async () => {
      const { accept, claimAs, worker, claim, directory, ledger, tenant, pool } = await storeWorld(open);
      const vip = unique("vip");
      const [one, two] = [newKey(), newKey()];
      await accept(one);
      await accept(two);
      const [old, dedicated] = [await worker("old"), await worker("dedicated", [vip])];
      await directory.moveTenant(tenant, vip);
      await directory.moveTenant(tenant, vip);
      expect(await claimAs(old, one)).toEqual({ kind: "empty" });
      expect(await ledger.claimReady(old, [pool], 10, WIDTHS)).toEqual([]);
      const { sessions } = await ledger.readySessions(0, 10_000);
      expect(sessions.filter((ready) => ready.tenant === tenant).map((ready) => ready.pool)).toEqual([
        vip,
        vip,
      ]);
      expect((await claim(dedicated, one)).pool).toBe(vip);
      expect(await ledger.claimReady(dedicated, [vip], 10, WIDTHS)).toMatchObject([{ sessionKey: two }]);
    });

    it("lets the run under way end, and the next one of its session wait for the new pool", async () => {
      const { accept, worker, claim, directory, finish, tenant, run } = await storeWorld(open);
      const vip = unique("vip");
      const key = newKey();
      const first = await accept(key);
      const second = await accept(key);
      const old = await worker("old");
      const grant = await claim(old, key);
      await directory.moveTenant(tenant, vip);
      const answer = await finish(grant);
      expect(answer.next).toBeNull();
      expect(answer.ready).toMatchObject({ sessionKey: key, pool: vip });
      expect((await run(first.runId)).status).toBe("succeeded");
      const dedicated = await worker("dedicated", [vip]);
      expect((await claim(dedicated, key)).runId).toBe(second.runId);
    });

    it("moves a tenant back: the dedicated pool takes nothing of it any more", async () => {
      const { accept, claimAs, worker, claim, directory, tenant, pool } = await storeWorld(open);
      const vip = unique("vip");
      const key = newKey();
      const [shared, dedicated] = [await worker(), await worker("dedicated", [vip])];
      await directory.moveTenant(tenant, vip);
      await accept(key);
      await directory.moveTenant(tenant, pool);
      expect(await claimAs(dedicated, key)).toEqual({ kind: "empty" });
      await claim(shared, key);
    });

    it("leaves nobody with a lease without a run when the move comes in between", async () => {
      const { accept, worker, claim, directory, finish, tenant, pool, run } = await storeWorld(open);
      const vip = unique("vip");
      const [shared, dedicated] = [await worker(), await worker("dedicated", [vip])];
      for (let round = 0; round < 10; round++) {
        const key = newKey();
        await accept(key);
        const next = await accept(key);
        const grant = await claim(shared, key);
        const [answer] = await Promise.all([finish(grant), directory.moveTenant(tenant, vip)]);
        await finish(answer.next ?? (await claim(dedicated, key)));
        expect((await run(next.runId)).status).toBe("succeeded");
        await directory.moveTenant(tenant, pool);
      }
    });
  });
}
