import { randomUUID } from "node:crypto";
import { describe, expect, it } from "vitest";
import { runId, type SessionKey, tenantId } from "../../core/ids.ts";
import type { LimitSettings } from "../../core/tenant-limits.ts";
import type { AcceptAnswer, AcceptRequest } from "../run-ledger.ts";
import type { OpenStores } from "./store-fixture.ts";
import { newKey, storeWorld, unique } from "./store-world.ts";

/** Limits of a tenant, as `accept` keeps them. */
export function ledgerLimitsContract(open: OpenStores): void {
  /** A tenant with these limits. */
  const limited = async (limits: LimitSettings) => {
    const world = await storeWorld(open);
    await world.directory.setLimits(world.tenant, limits);
    return world;
  };
  const refused = (reason: string) => ({ kind: "refused", reason });
  const kinds = (answers: readonly AcceptAnswer[]): string[] =>
    answers.map((answer) => (answer.kind === "refused" ? answer.reason : answer.kind));

  describe("limits of a tenant", () => {
    it("accepts so many runs as may wait, and again when one has begun", async () => {
      const { accept, acceptAs, request, worker, claim } = await limited({ queuedRuns: 2 });
      const key = newKey();
      await accept(key);
      await accept(newKey());
      expect(await acceptAs(request(newKey()))).toEqual(refused("tenant-queued-runs"));
      expect(await acceptAs(request(key))).toEqual(refused("tenant-queued-runs"));
      await claim(await worker(), key);
      await accept(key);
      expect(await acceptAs(request(key))).toEqual(refused("tenant-queued-runs"));
    });

    it("keeps nothing of what it has refused: the same key is a new request later", async () => {
      const { accept, acceptAs, request, ledger, tenant, directory } = await limited({ queuedRuns: 1 });
      await accept(newKey());
      const late = request(newKey());
      expect(await acceptAs(late)).toEqual(refused("tenant-queued-runs"));
      expect(await ledger.get(tenant, late.runId)).toBeNull();
      await directory.setLimits(tenant, {});
      expect((await acceptAs(late)).kind).toBe("new");
    });

    it("answers a known key whatever the limits are", async () => {
      const { acceptAs, request } = await limited({ queuedRuns: 1, sessions: 1, concurrentRuns: 1 });
      const first = request(newKey());
      expect((await acceptAs(first)).kind).toBe("new");
      expect((await acceptAs(first)).kind).toBe("existing");
      expect((await acceptAs({ ...first, requestHash: "b".repeat(64) })).kind).toBe("conflict");
    });

    it("lets so many sessions be busy at once; another message of one of them waits for its turn", async () => {
      const { accept, acceptAs, request, worker, claim, finish } = await limited({ concurrentRuns: 2 });
      const [one, two, three] = [newKey(), newKey(), newKey()];
      await accept(one);
      await accept(two);
      await accept(one);
      expect(await acceptAs(request(three))).toEqual(refused("tenant-concurrent-runs"));
      const by = await worker();
      await finish(await claim(by, two));
      await accept(three);
      expect(await acceptAs(request(two))).toEqual(refused("tenant-concurrent-runs"));
    });

    it("lets so many sessions exist, those that are there go on", async () => {
      const { accept, acceptAs, request, sessions, tenant } = await limited({ sessions: 2 });
      const [one, two] = [newKey(), newKey()];
      await accept(one);
      await sessions.create(tenant, {
        key: two,
        agentId: request(two).agentId,
        sessionId: "by-hand",
        createdVia: "test",
      });
      const three = request(newKey());
      expect(await acceptAs(three)).toEqual(refused("tenant-sessions"));
      await accept(two);
      const creating = sessions.create(tenant, {
        key: newKey(),
        agentId: three.agentId,
        sessionId: "one-too-many",
        createdVia: "test",
      });
      await expect(creating).rejects.toMatchObject({
        code: "OVERLOADED",
        details: { reason: "tenant-sessions", retryAfterMs: expect.any(Number) },
      });
      await sessions.delete(tenant, two);
      expect((await acceptAs(three)).kind).toBe("new");
    });

    it("makes no session for a command beyond the limit", async () => {
      const { accept, ledger, request } = await limited({ sessions: 1 });
      await accept(newKey());
      const { tenant, sessionKey, agentId, lane, requestHash, newSessionId } = request(newKey());
      const answering = ledger.answer({
        tenant,
        sessionKey,
        agentId,
        lane,
        requestHash,
        newSessionId,
        runId: runId(randomUUID()),
        result: { text: "done", stopReason: "stop" },
        messages: [],
      });
      await expect(answering).rejects.toMatchObject({ code: "OVERLOADED" });
    });

    it("refuses a tenant that keeps as much as it may, as of the last measure", async () => {
      const { accept, acceptAs, request, directory, passTime, tenant, worker, finishAll } = await limited({
        storageBytes: 10_000,
      });
      const key = newKey();
      await accept(key);
      await directory.measureStorage(0);
      const object = { object: { sha256: "c".repeat(64), bytes: 50_000 } };
      await accept(key, { input: { body: object, options: {} } });
      await accept(newKey()); // it was not measured yet
      const by = await worker();
      await finishAll(by, key);
      expect((await directory.usage(tenant)).storageBytes).toBeGreaterThanOrEqual(50_000);
      await passTime(60_000);
      await directory.measureStorage(30_000);
      expect(await acceptAs(request(key))).toEqual(refused("tenant-storage"));
    });

    it("decides a batch in its order, tenants apart", async () => {
      const { ledger, directory, request, pool } = await limited({ queuedRuns: 2 });
      const other = tenantId(unique("tenant"));
      await directory.addTenant(other, pool);
      const keys: SessionKey[] = [newKey(), newKey(), newKey()];
      const ours = keys.map((key) => request(key));
      const theirs = keys.map((key): AcceptRequest => ({ ...request(key), tenant: other }));
      const answers = await ledger.accept([
        ours[0]!,
        theirs[0]!,
        ours[1]!,
        ours[2]!,
        theirs[1]!,
        ours[0]!,
        theirs[2]!,
      ]);
      expect(kinds(answers)).toEqual(["new", "new", "new", "tenant-queued-runs", "new", "existing", "new"]);
    });

    it("is never exceeded by requests that come at once", async () => {
      const { ledger, request } = await limited({ concurrentRuns: 5, queuedRuns: 5, sessions: 5 });
      const calls = Array.from({ length: 12 }, () => ledger.accept([request(newKey()), request(newKey())]));
      const answers = (await Promise.all(calls)).flat();
      expect(kinds(answers).filter((kind) => kind === "new")).toHaveLength(5);
    });

    it("follows the defaults where nothing else is said", async () => {
      const { directory, accept, acceptAs, request, tenant } = await storeWorld(open);
      const free = tenantId(unique("tenant"));
      await directory.addTenant(free, "shared");
      await directory.setLimits(free, { queuedRuns: null });
      await directory.setDefaultLimits({ queuedRuns: 1 });
      try {
        await accept(newKey());
        expect(await acceptAs(request(newKey()))).toEqual(refused("tenant-queued-runs"));
        for (let i = 0; i < 3; i++) {
          expect((await acceptAs({ ...request(newKey()), tenant: free })).kind).toBe("new");
        }
        const later = tenantId(unique("tenant"));
        await directory.addTenant(later, "shared");
        expect((await directory.tenants()).find(({ id }) => id === later)).toMatchObject({
          limits: {},
          effectiveLimits: { queuedRuns: 1 },
        });
      } finally {
        await directory.setDefaultLimits({});
      }
      expect((await directory.tenants()).find(({ id }) => id === tenant)?.effectiveLimits).toEqual({});
    });
  });
}
