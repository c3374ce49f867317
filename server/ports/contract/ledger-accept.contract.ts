import { randomUUID } from "node:crypto";
import { describe, expect, it } from "vitest";
import { tenantId } from "../../core/ids.ts";
import type { OpenStores } from "./store-fixture.ts";
import { newKey, storeWorld, textBody, unique } from "./store-world.ts";

const DAY_MS = 24 * 3_600_000;

/** RunLedger.accept: one run per key, FIFO by acknowledgement, and who has to wake a worker. */
export function ledgerAcceptContract(open: OpenStores): void {
  describe("accept", () => {
    it("acknowledges a new run and names the session that became ready", async () => {
      const { acceptAs, request, ready, tenant } = await storeWorld(open);
      const key = newKey();
      const one = request(key, { input: { body: textBody("user", "hi"), options: { model: "demo/echo" } } });
      expect(await acceptAs(one)).toEqual({
        kind: "new",
        ready: ready(key),
        interrupted: null,
        run: {
          tenant,
          runId: one.runId,
          sessionKey: key,
          sessionId: one.newSessionId,
          agentId: "main",
          lane: "main",
          status: "queued",
          attempt: 0,
          failures: 0,
          worker: null,
          acceptedAt: expect.any(Number),
          startedAt: null,
          endedAt: null,
          abortRequested: false,
          result: null,
          error: null,
        },
      });
    });

    it("names the run's lane in what it makes ready", async () => {
      const { accept } = await storeWorld(open);
      expect((await accept(newKey(), { lane: "cron" })).ready?.lane).toBe("cron");
    });

    it("creates the session with the first run and keeps its sessionId for the next ones", async () => {
      const { accept, sessions, tenant } = await storeWorld(open);
      const key = newKey();
      const first = await accept(key, { newSessionId: "session-one" });
      const second = await accept(key, { newSessionId: "session-two" });
      expect([first.sessionId, second.sessionId]).toEqual(["session-one", "session-one"]);
      expect(await sessions.get(tenant, key)).toMatchObject({ sessionId: "session-one", agentId: "main" });
    });

    it("joins a session that was created by hand", async () => {
      const { accept, sessions, tenant, request } = await storeWorld(open);
      const key = newKey();
      const { agentId } = request(key);
      await sessions.create(tenant, { key, agentId, sessionId: "by-hand", createdVia: "test" });
      const run = await accept(key);
      expect(run.sessionId).toBe("by-hand");
      expect(run.ready).not.toBeNull();
    });

    it("answers the same key and request with the run as it stands, and makes nothing ready again", async () => {
      const { acceptAs, request, worker, claim, finish, run } = await storeWorld(open);
      const key = newKey();
      const one = request(key);
      await acceptAs(one);
      const grant = await claim(await worker(), key);
      expect(await acceptAs(one)).toMatchObject({ kind: "existing", run: { status: "running", attempt: 1 } });
      await finish(grant, { result: { text: "four", stopReason: "stop" } });
      const answer = await acceptAs({ ...one, newSessionId: randomUUID() });
      expect(answer).toMatchObject({
        kind: "existing",
        run: { status: "succeeded", result: { text: "four", stopReason: "stop" } },
      });
      expect(answer).toEqual({ kind: "existing", run: await run(one.runId) });
    });

    it("refuses the same key with another text or another session, and tells nothing about the run", async () => {
      const { acceptAs, request } = await storeWorld(open);
      const one = request(newKey());
      await acceptAs(one);
      expect(await acceptAs({ ...one, requestHash: "b".repeat(64) })).toEqual({ kind: "conflict" });
      expect(await acceptAs({ ...one, sessionKey: newKey("other") })).toEqual({ kind: "conflict" });
    });

    it("leaves no session behind where it refuses the key", async () => {
      const { acceptAs, request, sessions, tenant } = await storeWorld(open);
      const one = request(newKey());
      await acceptAs(one);
      const other = newKey("other");
      await acceptAs({ ...one, sessionKey: other });
      expect(await sessions.get(tenant, other)).toBeNull();
    });

    it("answers a batch in its order, each request as if it came alone", async () => {
      const { ledger, request } = await storeWorld(open);
      const [a, b] = [newKey("a"), newKey("b")];
      const first = request(a);
      const batch = [
        first,
        request(b),
        first,
        { ...first, requestHash: "b".repeat(64) },
        request(a),
        { ...request(b), tenant: tenantId(unique("stranger")) },
      ];
      const answers = await ledger.accept(batch);
      const kinds = answers.map(({ kind }) => kind);
      expect(kinds).toEqual(["new", "new", "existing", "conflict", "new", "refused"]);
      const readied = answers.map((answer) => (answer.kind === "new" ? answer.ready !== null : null));
      expect(readied).toEqual([true, true, null, null, false, null]);
    });

    it("accepts a key once, whoever asks at the same moment", async () => {
      const { ledger, request, tenant } = await storeWorld(open);
      const key = newKey();
      const one = request(key);
      const answers = await Promise.all(Array.from({ length: 8 }, () => ledger.accept([one])));
      const kinds = answers.flat().map(({ kind }) => kind);
      expect(kinds.filter((kind) => kind === "new")).toHaveLength(1);
      expect(kinds.filter((kind) => kind === "existing")).toHaveLength(7);
      expect(await ledger.list(tenant, { sessionKey: key, limit: 10 })).toHaveLength(1);
    });

    it("makes a session ready once, whoever accepts at the same moment", async () => {
      const { accept } = await storeWorld(open);
      const key = newKey();
      const runs = await Promise.all(Array.from({ length: 8 }, () => accept(key)));
      expect(runs.filter((run) => run.ready !== null)).toHaveLength(1);
    });

    it("makes no session ready that is queued or held already", async () => {
      const { accept, worker, claim, finish } = await storeWorld(open);
      const key = newKey();
      await accept(key);
      expect((await accept(key)).ready).toBeNull();
      const grant = await claim(await worker(), key);
      expect((await accept(key)).ready).toBeNull();
      const second = (await finish(grant)).next;
      const third = second && (await finish(second)).next;
      expect(third && (await finish(third)).next).toBeNull();
      expect((await accept(key)).ready).not.toBeNull();
    });

    it("refuses a tenant that it does not know or that is disabled, and keeps nothing of the request", async () => {
      const { acceptAs, request, directory, ledger, tenant } = await storeWorld(open);
      const refused = { kind: "refused", reason: "tenant-disabled" };
      const stranger = tenantId(unique("stranger"));
      const early = request(newKey(), { tenant: stranger });
      expect(await acceptAs(early)).toEqual(refused);
      expect(await ledger.get(stranger, early.runId)).toBeNull();
      await directory.addTenant(stranger, "shared");
      expect(await acceptAs(early)).toMatchObject({ kind: "new" });
      await directory.setDisabled(tenant, true);
      expect(await acceptAs(request(newKey()))).toEqual(refused);
    });

    it("refuses what would wait behind too many, accepts up to that, and keeps no key of what it refused", async () => {
      const { ledger, request, acceptAs, worker, claim, maxQueuedPerSession } = await storeWorld(open);
      const key = newKey();
      const all = Array.from({ length: maxQueuedPerSession + 2 }, () => request(key));
      const [most, [last, first, second]] = [all.slice(0, -3), all.slice(-3)];
      expect((await ledger.accept(most)).every(({ kind }) => kind === "new")).toBe(true);
      // The cap lies in the middle of this batch: what still fits is accepted.
      const kinds = (await ledger.accept([last!, first!, second!, last!])).map(({ kind }) => kind);
      expect(kinds).toEqual(["new", "refused", "refused", "existing"]);
      expect(await acceptAs(first!)).toEqual({ kind: "refused", reason: "session-queue-full" });
      expect(await acceptAs(request(newKey("other")))).toMatchObject({ kind: "new" });
      await claim(await worker(), key);
      expect(await acceptAs(second!)).toMatchObject({ kind: "new", ready: null });
    });

    it("knows a key for a month, also when the session was deleted", async () => {
      const { acceptAs, request, worker, claim, finish, sessions, passTime, ledger, tenant } =
        await storeWorld(open);
      const key = newKey();
      const one = request(key);
      await acceptAs(one);
      await finish(await claim(await worker(), key));
      await sessions.delete(tenant, key);
      await passTime(29 * DAY_MS);
      await ledger.sweep();
      expect(await acceptAs(one)).toMatchObject({ kind: "existing", run: { status: "succeeded" } });
      expect(await acceptAs({ ...one, requestHash: "b".repeat(64) })).toEqual({ kind: "conflict" });
      expect(await sessions.get(tenant, key)).toBeNull();
    });

    it("keeps tenants apart: the same key and session are another run", async () => {
      const { accept, acceptAs, request, directory, worker, claim, claimAs, ledger } = await storeWorld(open);
      const other = tenantId(unique("tenant"));
      await directory.addTenant(other, unique("pool"));
      const key = newKey();
      const mine = await accept(key);
      const theirs = request(key, { tenant: other, runId: mine.runId, requestHash: "b".repeat(64) });
      expect(await acceptAs(theirs)).toMatchObject({ kind: "new", run: { tenant: other } });
      const by = await worker();
      expect((await claim(by, key)).sessionId).toBe(mine.sessionId);
      expect(await claimAs(by, key)).toMatchObject({ kind: "granted", grant: { tenant: mine.tenant } });
      expect(await ledger.get(other, mine.runId)).toMatchObject({ tenant: other, status: "queued" });
    });
  });
}
