import { describe, expect, it } from "vitest";
import { agentId, type SessionKey } from "../../core/ids.ts";
import { isUnread, type SessionPatch } from "../../core/session.ts";
import type { OpenStores } from "./store-fixture.ts";
import { message, newKey, rowText, storeWorld, textBody } from "./store-world.ts";

export const newSession = (key: SessionKey, over: SessionPatch & { readonly agentId?: string } = {}) => ({
  key,
  sessionId: `id-of-${key}`,
  createdVia: "test",
  ...over,
  agentId: agentId(over.agentId ?? "main"),
});

/** SessionStore.get, create, patch, reset and delete. */
export function sessionRecordContract(open: OpenStores): void {
  describe("create and get", () => {
    it("answer a session that nobody has written to yet", async () => {
      const { sessions, tenant } = await storeWorld(open);
      const key = newKey();
      expect(await sessions.get(tenant, key)).toBeNull();
      const { session, created } = await sessions.create(
        tenant,
        newSession(key, { label: "Trip", pinned: true }),
      );
      expect(created).toBe(true);
      expect(session).toEqual({
        tenant,
        key,
        sessionId: `id-of-${key}`,
        agentId: "main",
        createdAt: expect.any(Number),
        updatedAt: expect.any(Number),
        createdVia: "test",
        spawnedBy: null,
        spawnDepth: 0,
        lifecycleRevision: 1,
        headSeq: 0,
        headMessageId: null,
        resetSeq: 0,
        messageCount: 0,
        label: "Trip",
        model: null,
        thinkingLevel: null,
        verboseLevel: null,
        queueMode: null,
        archived: false,
        pinned: true,
        readSeq: 0,
        markedUnreadAt: null,
        inputTokens: 0,
        outputTokens: 0,
        contextTokens: null,
        lastMessagePreview: null,
        derivedTitle: null,
        activeRunId: null,
        lastRunId: null,
      });
      expect(await sessions.get(tenant, key)).toEqual(session);
    });

    it("leave an existing session as it is", async () => {
      const { sessions, tenant } = await storeWorld(open);
      const key = newKey();
      const { session } = await sessions.create(tenant, newSession(key, { label: "first" }));
      const again = { ...newSession(key, { label: "second" }), sessionId: "other" };
      expect(await sessions.create(tenant, again)).toEqual({ session, created: false });
    });

    it("create a session once, whoever asks at the same moment", async () => {
      const { sessions, tenant } = await storeWorld(open);
      const key = newKey();
      const answers = await Promise.all(
        Array.from({ length: 6 }, (_, i) =>
          sessions.create(tenant, { ...newSession(key), sessionId: `id-${i}` }),
        ),
      );
      expect(answers.filter(({ created }) => created)).toHaveLength(1);
      expect(new Set(answers.map(({ session }) => session.sessionId)).size).toBe(1);
    });

    it("name the run that is executed or waits", async () => {
      const { sessions, tenant, accept, worker, claim, finish } = await storeWorld(open);
      const key = newKey();
      const [first, second] = [await accept(key), await accept(key)];
      const active = async () => (await sessions.get(tenant, key))?.activeRunId;
      expect(await active()).toBe(first.runId);
      const grant = await claim(await worker(), key);
      expect(await active()).toBe(first.runId);
      await finish(grant, { takeNext: false });
      expect(await active()).toBe(second.runId);
    });

    it("answer values that later changes do not reach", async () => {
      const { sessions, tenant } = await storeWorld(open);
      const key = newKey();
      const { session } = await sessions.create(tenant, newSession(key));
      await sessions.patch(tenant, key, { label: "later" });
      expect(session.label).toBeNull();
    });
  });

  describe("patch", () => {
    it("changes what it names, clears what is null and leaves the rest", async () => {
      const { sessions, tenant, passTime } = await storeWorld(open);
      const key = newKey();
      const all = {
        label: "Trip",
        model: "demo/echo",
        thinkingLevel: "low",
        verboseLevel: "full",
        queueMode: "collect",
        archived: false,
        pinned: true,
      };
      await sessions.create(tenant, newSession(key));
      expect(await sessions.patch(tenant, key, all)).toMatchObject(all);
      await passTime(60_000);
      const before = (await sessions.get(tenant, key))!;
      const patched = await sessions.patch(tenant, key, { label: null, queueMode: null, archived: true });
      // What is archived is pinned no longer.
      const changed = { label: null, queueMode: null, archived: true, pinned: false };
      expect(patched).toMatchObject({ ...all, ...changed });
      expect(patched!.updatedAt).toBeGreaterThan(before.updatedAt);
      expect(await sessions.get(tenant, key)).toEqual(patched);
    });

    it("marks rows as read, and the session as unread until it is read again", async () => {
      const { sessions, tenant } = await storeWorld(open);
      const key = newKey();
      const { session } = await sessions.create(tenant, newSession(key));
      const patch = async (by: SessionPatch) => {
        const patched = await sessions.patch(tenant, key, by);
        return patched === null ? null : { unread: isUnread(patched), marked: patched.markedUnreadAt };
      };
      expect(isUnread(session)).toBe(false);
      await sessions.append(tenant, key, message("hi", "user"));
      await sessions.append(tenant, key, message("hello"));
      expect(isUnread((await sessions.get(tenant, key))!)).toBe(false);
      await sessions.append(tenant, key, message("and more"));
      const { updatedAt, ...before } = (await sessions.get(tenant, key))!;
      expect(isUnread({ ...before })).toBe(true);
      expect(await patch({ unread: false })).toEqual({ unread: false, marked: null });
      expect(await sessions.get(tenant, key)).toMatchObject({ updatedAt, readSeq: 3 });
      const first = await patch({ unread: true });
      const second = await patch({ unread: true });
      expect(first).toMatchObject({ unread: true });
      expect(second?.marked).toBeGreaterThan(first?.marked ?? Infinity);
      // Who has seen the first mark only does not take the second one away.
      expect(await patch({ unread: false, expectedMarkedUnreadAt: first?.marked ?? 0 })).toEqual(second);
      expect(await patch({ unread: false, expectedMarkedUnreadAt: null })).toEqual(second);
      const seen = { unread: false, expectedMarkedUnreadAt: second?.marked ?? 0 };
      expect(await patch(seen)).toEqual({ unread: false, marked: null });
      expect(await patch({ unread: true, label: "with another change" })).toMatchObject({ unread: true });
    });

    it("changes nothing of a session that is another one than expected, or has another history", async () => {
      const { sessions, tenant } = await storeWorld(open);
      const key = newKey();
      const { session } = await sessions.create(tenant, newSession(key));
      const expectedSessionId = session.sessionId;
      const believed = { expectedSessionId, expectedLifecycleRevision: String(session.lifecycleRevision) };
      const refused = { code: "REQUEST_INVALID", details: { reason: "session-changed" } };
      expect(await sessions.patch(tenant, key, { ...believed, label: "a" })).toMatchObject({ label: "a" });
      const other = { expectedSessionId: "other", label: "b" };
      await expect(sessions.patch(tenant, key, other)).rejects.toMatchObject(refused);
      await sessions.reset(tenant, key, "new");
      await expect(sessions.patch(tenant, key, { ...believed, label: "b" })).rejects.toMatchObject(refused);
      expect(await sessions.get(tenant, key)).toMatchObject({ label: "a" });
      expect(await sessions.patch(tenant, key, { expectedSessionId, label: "b" })).toMatchObject({
        label: "b",
      });
      expect(await sessions.patch(tenant, newKey(), { ...believed, label: "c" })).toBeNull();
    });

    it("gives a label to one session of an agent, whoever wants it at the same moment", async () => {
      const { sessions, tenant } = await storeWorld(open);
      const keys = Array.from({ length: 6 }, () => newKey());
      for (const key of keys) await sessions.create(tenant, newSession(key));
      const wanted = await Promise.allSettled(
        keys.map((key) => sessions.patch(tenant, key, { label: "Trip" })),
      );
      expect(wanted.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
      const refused = wanted.filter((one) => one.status === "rejected").map(({ reason }) => reason as Error);
      expect(new Set(refused.map((error) => error.message))).toEqual(new Set(["label already in use: Trip"]));
      const [owner] = (await sessions.list(tenant, { limit: 9, label: "Trip" })).sessions;
      // Its own label is no other's, a session that is refused is not made, and another agent may have it as well.
      expect(await sessions.patch(tenant, owner!.key, { label: "Trip" })).toMatchObject({ label: "Trip" });
      const late = newKey();
      const labelled = newSession(late, { label: "Trip" });
      await expect(sessions.create(tenant, labelled)).rejects.toThrow("label already in use");
      expect(await sessions.get(tenant, late)).toBeNull();
      const { created } = await sessions.create(tenant, { ...labelled, agentId: agentId("work") });
      expect(created).toBe(true);
    });

    it("does not pin what is archived", async () => {
      const { sessions, tenant } = await storeWorld(open);
      const key = newKey();
      await sessions.create(tenant, newSession(key, { archived: true }));
      const refused = { code: "REQUEST_INVALID", message: expect.stringContaining("archived") };
      await expect(sessions.patch(tenant, key, { pinned: true })).rejects.toMatchObject(refused);
      const both = { pinned: true, archived: true };
      await expect(sessions.patch(tenant, key, both)).rejects.toMatchObject(refused);
      expect(await sessions.patch(tenant, key, { pinned: true, archived: false })).toMatchObject({
        pinned: true,
        archived: false,
      });
    });

    it("does not know a session that is not there", async () => {
      const { sessions, tenant } = await storeWorld(open);
      expect(await sessions.patch(tenant, newKey(), { label: "x" })).toBeNull();
    });
  });

  describe("reset", () => {
    it("begins a new history with a system row, and the session keeps its id", async () => {
      const { sessions, tenant, accept, worker, finishAll } = await storeWorld(open);
      const key = newKey();
      const { sessionId } = await accept(key);
      await finishAll(await worker(), key);
      expect(await sessions.get(tenant, key)).toMatchObject({ derivedTitle: "hello" });
      const reset = await sessions.reset(tenant, key, "new");
      expect(reset).toMatchObject({
        sessionId,
        lifecycleRevision: 2,
        headSeq: 2,
        resetSeq: 1,
        derivedTitle: null,
        lastMessagePreview: null,
      });
      const { rows, total } = await sessions.history(tenant, key, { limit: 10 });
      expect(total).toBe(1);
      expect(reset!.messageCount).toBe(total);
      expect(rows).toMatchObject([
        {
          seq: 2,
          runId: null,
          body: {
            inline: {
              role: "system",
              content: "",
              timestamp: expect.any(Number),
              __openclaw: { kind: "reset", reason: "new" },
            },
          },
        },
      ]);
    });

    it("happens once for one request, however often it is asked for", async () => {
      const { sessions, tenant } = await storeWorld(open);
      const key = newKey();
      await sessions.create(tenant, newSession(key));
      const first = await sessions.reset(tenant, key, "new", "request-1");
      expect(first).toMatchObject({ lifecycleRevision: 2, headSeq: 1 });
      const row = await sessions.append(tenant, key, message("after"));
      expect(await sessions.reset(tenant, key, "new", "request-1")).toMatchObject({
        lifecycleRevision: 2,
        headSeq: row?.seq,
      });
      const again = await sessions.reset(tenant, key, "new", "request-2");
      expect(again).toMatchObject({ lifecycleRevision: 3, resetSeq: 2 });
    });

    it("keeps what lies before it, for who asks", async () => {
      const { sessions, tenant, accept, worker, finishAll, transcript } = await storeWorld(open);
      const key = newKey();
      const by = await worker();
      await accept(key);
      await finishAll(by, key);
      await sessions.reset(tenant, key, "new");
      await accept(key, { input: { body: textBody("user", "again"), options: {} } });
      await finishAll(by, key);
      expect((await transcript(key)).map(rowText)).toEqual(["", "again"]);
      const all = await sessions.history(tenant, key, { limit: 10, includeReset: true });
      expect(all.rows.map(rowText)).toEqual(["hello", "", "again"]);
      expect(all.total).toBe(3);
      expect(await sessions.get(tenant, key)).toMatchObject({ derivedTitle: "again" });
    });

    it("is what a worker's next context starts from", async () => {
      const { sessions, tenant, accept, worker, claim, finishAll } = await storeWorld(open);
      const key = newKey();
      const by = await worker();
      await accept(key);
      await finishAll(by, key);
      await sessions.reset(tenant, key, "new");
      await accept(key);
      const grant = await claim(by, key);
      expect(grant).toMatchObject({ resetSeq: 1, headSeq: 3, userRow: { seq: 3 } });
      const { rows } = await sessions.context(tenant, key, 0);
      expect(rows.map(({ seq }) => seq)).toEqual([2, 3]);
    });

    it("may come again, and between a claim and its end", async () => {
      const { sessions, tenant, accept, worker, claim, finish, transcript } = await storeWorld(open);
      const key = newKey();
      await accept(key);
      const grant = await claim(await worker(), key);
      await sessions.reset(tenant, key, "new");
      const reset = await sessions.reset(tenant, key, "new");
      expect(reset).toMatchObject({ lifecycleRevision: 3, resetSeq: 2, headSeq: 3 });
      await finish(grant, { messages: [message("late")] });
      expect((await transcript(key)).map(rowText)).toEqual(["", "late"]);
    });

    it("does not know a session that is not there", async () => {
      const { sessions, tenant } = await storeWorld(open);
      expect(await sessions.reset(tenant, newKey(), "new")).toBeNull();
    });
  });

  describe("delete", () => {
    it("removes session and transcript, once", async () => {
      const { sessions, tenant, accept, worker, finishAll } = await storeWorld(open);
      const key = newKey();
      await accept(key);
      await finishAll(await worker(), key);
      expect(await sessions.delete(tenant, key)).toEqual({ deleted: true });
      expect(await sessions.delete(tenant, key)).toEqual({ deleted: false });
      expect(await sessions.get(tenant, key)).toBeNull();
      expect(await sessions.list(tenant, { limit: 10 })).toEqual({ sessions: [], total: 0 });
      const nothing = { rows: [], segments: [] };
      const whole = { limit: 10, includeReset: true };
      expect(await sessions.history(tenant, key, whole)).toEqual({ ...nothing, total: 0, fromSeq: 0 });
      expect(await sessions.context(tenant, key, 0)).toEqual({ ...nothing, fromSeq: 1 });
    });

    it("ends its open runs as aborted, and nobody is woken for it", async () => {
      const { sessions, tenant, accept, worker, claim, claimAs, checkpointAs, run, readyKeys } =
        await storeWorld(open);
      const [key, idle] = [newKey(), newKey("idle")];
      const by = await worker();
      const [running, queued, waiting] = [await accept(key), await accept(key), await accept(idle)];
      const grant = await claim(by, key);
      await sessions.delete(tenant, key);
      await sessions.delete(tenant, idle);
      for (const { runId } of [running, queued, waiting]) {
        expect(await run(runId)).toMatchObject({ status: "aborted", endedAt: expect.any(Number) });
      }
      expect(await checkpointAs(grant, 1, { messages: [message("late")] })).toEqual({ kind: "fenced" });
      expect(await claimAs(by, key)).toEqual({ kind: "empty" });
      expect(await readyKeys()).toEqual([]);
    });

    it("lets the key be used again for a session that knows nothing of the first", async () => {
      const { sessions, tenant, accept, worker, claim, finish, transcript } = await storeWorld(open);
      const key = newKey();
      const by = await worker();
      await sessions.create(tenant, newSession(key, { label: "secret", model: "demo/other" }));
      const first = await accept(key);
      await finish(await claim(by, key), { messages: [message("secret")] });
      await sessions.delete(tenant, key);
      const second = await accept(key, { newSessionId: "second-life" });
      expect([second.sessionId, second.ready !== null]).toEqual(["second-life", true]);
      const grant = await claim(by, key);
      expect(grant).toMatchObject({ sessionId: "second-life", sessionModel: null });
      await finish(grant, { messages: [message("fresh")] });
      expect((await transcript(key)).map(rowText)).toEqual(["hello", "fresh"]);
      const whole = await sessions.history(tenant, key, { limit: 10, includeReset: true });
      expect(whole).toMatchObject({ total: 2, segments: [] });
      expect(whole.rows).toHaveLength(2);
      expect(await sessions.get(tenant, key)).toMatchObject({
        lifecycleRevision: 1,
        label: null,
        messageCount: 2,
        lastRunId: second.runId,
      });
      expect(first.sessionId).not.toBe("second-life");
    });
  });
}
