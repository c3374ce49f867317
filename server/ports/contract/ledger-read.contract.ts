import { randomUUID } from "node:crypto";
import { describe, expect, it } from "vitest";
import { agentId, type RunId, runId, tenantId } from "../../core/ids.ts";
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

    it("finds runs by agent, by the kind of their error and since when they were accepted", async () => {
      const { ledger, accept, tenant, worker, claim, finish } = await storeWorld(open);
      const by = await worker();
      const list = async (filter: Partial<RunFilter>): Promise<RunId[]> =>
        (await ledger.list(tenant, { limit: 100, ...filter })).map((run) => run.runId);
      const ends = [
        ["failed", { kind: "model_auth", message: "no key" }],
        ["timed_out", { kind: "timeout", message: "too slow" }],
        ["succeeded", null],
      ] as const;
      const runs: RunId[] = [];
      for (const [status, error] of ends) {
        const { runId: id } = await accept(newKey());
        const { sessionKey: key } = (await ledger.get(tenant, id))!;
        await finish(await claim(by, key), { status, error });
        runs.push(id);
      }
      const other = await accept(newKey(), { agentId: agentId("other") });
      const [failed, late, fine] = runs as [RunId, RunId, RunId];
      expect(await list({ errorKind: "model_auth" })).toEqual([failed]);
      expect(await list({ errorKind: "model_auth", status: ["timed_out"] })).toEqual([]);
      expect(await list({ status: ["timed_out", "failed"] })).toEqual([late, failed]);
      expect(await list({ status: ["queued", "timed_out"] })).toEqual([other.runId, late]);
      expect(await list({ status: ["succeeded", "queued"] })).toEqual([other.runId, fine]);
      expect(await list({ status: [] })).toEqual([]);
      expect(await list({ agentId: agentId("other") })).toEqual([other.runId]);
      expect(await list({ since: other.acceptedAt })).toContain(other.runId);
      expect(await list({ since: other.acceptedAt + 60_000 })).toEqual([]);
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
  describe("what operators look at", () => {
    it("tells the runs under way, the longest first, with their newest step", async () => {
      const { ledger, accept, tenant, worker, claim, checkpoint, finish } = await storeWorld(open);
      const by = await worker();
      const [key, other] = [newKey(), newKey()];
      for (const one of [key, other]) await accept(one);
      const first = await claim(by, key);
      const second = await claim(by, other);
      const running = async () => (await ledger.running(1_000)).filter(({ run }) => run.tenant === tenant);
      expect(await running()).toMatchObject([
        { run: { runId: first.runId, status: "running" }, steps: 0, step: null },
        { run: { runId: second.runId }, steps: 0, step: null },
      ]);
      const tool = { toolCallId: "call-1", toolName: "look", idempotent: true } as const;
      await checkpoint(first, 1, {
        steps: [
          { kind: "model", stepNo: 1 },
          { kind: "tool_started", stepNo: 2, ...tool },
        ],
      });
      const step = { kind: "tool_started", toolName: "look", at: expect.any(Number) as number };
      expect((await running())[0]).toMatchObject({ steps: 2, step });
      expect(await ledger.steps(tenant, first.runId)).toEqual([
        { kind: "tool_started", stepNo: 2, ...tool, at: expect.any(Number) },
      ]);
      expect(await ledger.steps(tenantId("nobody"), first.runId)).toEqual([]);
      await finish(first);
      expect((await running()).map(({ run }) => run.runId)).toEqual([second.runId]);
    });

    it("tells what waits and what runs in each lane, the longest wait first", async () => {
      const { ledger, accept, tenant, pool, worker, claim, directory } = await storeWorld(open);
      const other = tenantId(unique("tenant"));
      await directory.addTenant(other, pool);
      const [running, waiting] = [newKey(), newKey()];
      for (const one of [running, waiting]) await accept(one);
      await claim(await worker(), running);
      await accept(newKey(), { tenant: other });
      await accept(newKey(), { lane: "cron" });
      const lanes = (await ledger.lanes(1_000)).filter((lane) => lane.pool === pool);
      const waited = expect.any(Number) as number;
      expect(lanes).toEqual([
        { tenant, pool, lane: "main", ready: 1, running: 1, oldestReadyMs: waited },
        { tenant: other, pool, lane: "main", ready: 1, running: 0, oldestReadyMs: waited },
        { tenant, pool, lane: "cron", ready: 1, running: 0, oldestReadyMs: waited },
      ]);
      expect(await ledger.lanes(1)).toHaveLength(1);
    });

    it("tells what failed lately, the last one first, and forgets what is redriven", async () => {
      const { ledger, accept, tenant, worker, claim, finish } = await storeWorld(open);
      const by = await worker();
      const failed: RunId[] = [];
      for (const status of ["failed", "succeeded", "timed_out"] as const) {
        const key = newKey();
        const { runId: id } = await accept(key);
        await finish(await claim(by, key), { status });
        if (status !== "succeeded") failed.unshift(id);
      }
      const failures = async (): Promise<RunId[]> =>
        (await ledger.failures(1_000)).filter((run) => run.tenant === tenant).map((run) => run.runId);
      expect(await failures()).toEqual(failed);
      await ledger.redrive(tenant, failed[0]!);
      expect(await failures()).toEqual(failed.slice(1));
    });
  });
}
