import { randomUUID } from "node:crypto";
import { describe, expect, it } from "vitest";
import { type RunId, runId, tenantId } from "../../core/ids.ts";
import type { RunFilter } from "../run-ledger.ts";
import type { OpenStores } from "./store-fixture.ts";
import { newKey, storeWorld, textBody, unique } from "./store-world.ts";

/** RunLedger.get, getMany and list: one tenant's runs, as they stand. */
export function ledgerReadContract(open: OpenStores): void {
  describe("queued", () => {
    it("answers what waits in a session with its messages, the oldest first, and counts all", async () => {
      const { ledger, accept, request, tenant, worker, claim } = await storeWorld(open);
      const key = newKey();
      const [first, ...others] = [
        await accept(key),
        await accept(key, { input: { body: textBody("user", "second"), options: {} } }),
        await accept(key, { input: { body: textBody("user", "third"), options: {} } }),
      ];
      await accept(newKey());
      expect(await ledger.queued(tenant, key, 1)).toMatchObject({
        items: [{ runId: first.runId }],
        total: 3,
      });
      await claim(await worker(), key);
      expect(await ledger.queued(tenant, key, 9)).toEqual({
        items: others.map(({ runId: id, acceptedAt }, n) => ({
          runId: id,
          acceptedAt,
          body: textBody("user", n === 0 ? "second" : "third"),
        })),
        total: 2,
      });
      expect(await ledger.queued(tenantId(unique("tenant")), key, 9)).toEqual({ items: [], total: 0 });
      const object = { sha256: "b".repeat(64), bytes: 50_000 };
      const large = request(newKey(), { input: { body: { object }, options: {} } });
      await ledger.accept([large]);
      expect((await ledger.queued(tenant, large.sessionKey, 9)).items).toMatchObject([{ body: { object } }]);
    });
  });

  describe("get and getMany", () => {
    it("answer runs as they stand and leave out what is unknown", async () => {
      const { ledger, accept, tenant, run } = await storeWorld(open);
      const [a, b] = [await accept(newKey()), await accept(newKey())];
      const asked = [a.runId, runId(randomUUID()), b.runId].map((id) => ({ tenant, runId: id }));
      const found = await ledger.getMany(asked);
      expect(found).toHaveLength(2);
      expect(found).toContainEqual(await run(a.runId));
      expect(found).toContainEqual(await run(b.runId));
      expect(await ledger.getMany([])).toEqual([]);
      expect(await ledger.get(tenant, runId(randomUUID()))).toBeNull();
    });

    it("find a run in its own tenant only, and many tenants' runs at once", async () => {
      const { ledger, accept, acceptAs, request, tenant, directory } = await storeWorld(open);
      const other = tenantId(unique("tenant"));
      await directory.addTenant(other, "shared");
      const mine = await accept(newKey());
      const theirs = request(newKey(), { tenant: other });
      await acceptAs(theirs);
      expect(await ledger.get(other, mine.runId)).toBeNull();
      expect(await ledger.getMany([{ tenant: other, runId: mine.runId }])).toEqual([]);
      const both = await ledger.getMany([
        { tenant, runId: mine.runId },
        { tenant: other, runId: theirs.runId },
      ]);
      expect(both.map((run) => run.tenant).sort()).toEqual([tenant, other].sort());
    });

    it("answer values that later changes do not reach", async () => {
      const { ledger, accept, tenant, worker, claim } = await storeWorld(open);
      const key = newKey();
      const { runId: id } = await accept(key);
      const before = await ledger.get(tenant, id);
      await claim(await worker(), key);
      expect(before).toMatchObject({ status: "queued", attempt: 0 });
    });
  });

  describe("list", () => {
    it("answers the newest first, by session and by status, a page at a time", async () => {
      const { ledger, accept, tenant, worker, claim, finish } = await storeWorld(open);
      const [key, other] = [newKey(), newKey("other")];
      const accepted: RunId[] = [];
      for (let i = 0; i < 5; i++) accepted.unshift((await accept(key)).runId);
      await accept(other);
      const ids = async (filter: Partial<RunFilter>): Promise<RunId[]> =>
        (await ledger.list(tenant, { sessionKey: key, limit: 100, ...filter })).map((run) => run.runId);
      expect(await ids({})).toEqual(accepted);
      expect(await ids({ limit: 2 })).toEqual(accepted.slice(0, 2));
      expect(await ids({ limit: 2, before: accepted[1]! })).toEqual(accepted.slice(2, 4));
      expect(await ids({ before: accepted[4]! })).toEqual([]);
      await finish(await claim(await worker(), key), { status: "failed", takeNext: false });
      expect(await ids({ status: ["failed"] })).toEqual([accepted[4]]);
      expect(await ids({ status: ["queued"], limit: 3, before: accepted[0]! })).toEqual(accepted.slice(1, 4));
      expect(await ids({ status: ["failed", "queued"] })).toEqual(accepted);
      expect(await ids({ status: ["dead"] })).toEqual([]);
      expect(await ledger.list(tenant, { limit: 100 })).toHaveLength(6);
    });

    it("shows one tenant's runs to that tenant alone", async () => {
      const { ledger, accept, directory } = await storeWorld(open);
      const key = newKey();
      await accept(key);
      const other = tenantId(unique("tenant"));
      await directory.addTenant(other, "shared");
      expect(await ledger.list(other, { limit: 10 })).toEqual([]);
      expect(await ledger.list(other, { sessionKey: key, limit: 10 })).toEqual([]);
    });
  });
}
