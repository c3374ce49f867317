import { describe, expect, it } from "vitest";
import type { SessionKey } from "../../core/ids.ts";
import type { AnswerAnswer, AnswerRequest } from "../run-ledger.ts";
import type { OpenStores } from "./store-fixture.ts";
import { message, newKey, rowText, storeWorld, type StoreWorld } from "./store-world.ts";

type New = Extract<AnswerAnswer, { readonly kind: "new" }>;

const answered = ({ request }: StoreWorld, key: SessionKey, over: Partial<AnswerRequest> = {}) => {
  const { tenant, runId, sessionKey, agentId, lane, requestHash, newSessionId } = request(key);
  return {
    tenant,
    runId,
    sessionKey,
    agentId,
    lane,
    requestHash,
    newSessionId,
    result: { text: "fine", stopReason: "stop" },
    messages: [{ ...message("/status", "user"), idempotencyKey: `${runId}:user` }, message("fine")],
    ...over,
  };
};

/** RunLedger.answer: a run that never waits, recorded with everything that belongs to it. */
export function ledgerAnswerContract(open: OpenStores): void {
  describe("answer", () => {
    it("records run and rows in one step, and creates the session where there is none", async () => {
      const world = await storeWorld(open);
      const { ledger, sessions, tenant, run, transcript, readyKeys } = world;
      const key = newKey();
      const one = answered(world, key);
      const answer = (await ledger.answer(one)) as New;
      expect(answer).toMatchObject({
        kind: "new",
        run: { runId: one.runId, status: "succeeded", attempt: 1, result: one.result, worker: null },
        rows: [
          { seq: 1, parentId: null, runId: one.runId, idempotencyKey: `${one.runId}:user` },
          { seq: 2, parentId: one.messages[0]?.messageId, runId: one.runId },
        ],
      });
      expect(answer.run.endedAt).toBe(answer.run.acceptedAt);
      expect(await run(one.runId)).toEqual(answer.run);
      expect(await transcript(key)).toEqual(answer.rows);
      expect(await sessions.get(tenant, key)).toMatchObject({
        sessionId: one.newSessionId,
        headSeq: 2,
        headMessageId: one.messages[1]?.messageId,
        lastRunId: one.runId,
        lastMessagePreview: "fine",
        derivedTitle: null,
        activeRunId: null,
      });
      expect(await readyKeys()).toEqual([]);
    });

    it("has the lane of its session", async () => {
      const world = await storeWorld(open);
      const one = answered(world, newKey("subagent:x"), { lane: "subagent" });
      expect(await world.ledger.answer(one)).toMatchObject({ kind: "new", run: { lane: "subagent" } });
    });

    it("answers a repetition with the run, also one that comes at the same time, and does nothing twice", async () => {
      const world = await storeWorld(open);
      const { ledger, transcript } = world;
      const key = newKey();
      const one = answered(world, key);
      const answers = await Promise.all([ledger.answer(one), ledger.answer(one), ledger.answer(one)]);
      expect(answers.map(({ kind }) => kind).toSorted()).toEqual(["existing", "existing", "new"]);
      const { run } = answers.find(({ kind }) => kind === "new") as New;
      expect(await ledger.answer(one)).toEqual({ kind: "existing", run });
      expect(await transcript(key)).toHaveLength(2);
    });

    it("shares its keys with accept: another text or another session is a conflict", async () => {
      const world = await storeWorld(open);
      const { ledger, accept, acceptAs, request } = world;
      const key = newKey();
      const run = await accept(key);
      const again = { runId: run.runId, sessionKey: key };
      expect(await ledger.answer(answered(world, key, again))).toMatchObject({
        kind: "existing",
        run: { status: "queued" },
      });
      const otherText = { ...again, requestHash: "b".repeat(64) };
      expect(await ledger.answer(answered(world, key, otherText))).toEqual({ kind: "conflict" });
      const elsewhere = { runId: run.runId, sessionKey: newKey() };
      expect(await ledger.answer(answered(world, key, elsewhere))).toEqual({ kind: "conflict" });
      const one = answered(world, key);
      await ledger.answer(one);
      expect(await acceptAs(request(key, { runId: one.runId }))).toMatchObject({
        kind: "existing",
        run: { status: "succeeded" },
      });
      const other = request(key, { runId: one.runId, requestHash: "b".repeat(64) });
      expect(await acceptAs(other)).toEqual({ kind: "conflict" });
    });

    it("disturbs neither the run under way nor those that wait", async () => {
      const world = await storeWorld(open);
      const { ledger, sessions, tenant, accept, worker, claim, checkpoint, finish, transcript } = world;
      const key = newKey();
      const [first, second] = [await accept(key), await accept(key)];
      const by = await worker();
      const grant = await claim(by, key);
      await checkpoint(grant, 1, { messages: [message("before")] });
      const { token, rows } = (await ledger.answer(answered(world, key))) as New;
      expect(token).toBe(grant.token);
      expect(rows[0]?.seq).toBe(3);
      expect(await sessions.get(tenant, key)).toMatchObject({ activeRunId: first.runId });
      const stored = await checkpoint(grant, 2, { messages: [message("after")] });
      expect(stored.rows).toMatchObject([{ seq: 5, parentId: rows[1]?.messageId }]);
      const { next } = await finish(grant);
      expect(next).toMatchObject({ runId: second.runId, userRow: { seq: 6 }, headSeq: 6 });
      expect((await transcript(key)).map(rowText)).toEqual([
        "hello",
        "before",
        "/status",
        "fine",
        "after",
        "hello",
      ]);
    });

    it("has a token that no later grant falls behind, where nobody holds the session", async () => {
      const world = await storeWorld(open);
      const { ledger, accept, worker, claim, finish } = world;
      const key = newKey();
      await accept(key);
      const by = await worker();
      const grant = await claim(by, key);
      await finish(grant);
      const { token } = (await ledger.answer(answered(world, key))) as New;
      expect(token).toBeGreaterThan(grant.token);
      await accept(key);
      expect((await claim(by, key)).token).toBeGreaterThan(token);
    });

    it("changes the session together with it, once", async () => {
      const world = await storeWorld(open);
      const { ledger, sessions, tenant } = world;
      const key = newKey();
      const one = answered(world, key, { patch: { model: "demo/two", thinkingLevel: "high" } });
      await ledger.answer(one);
      expect(await sessions.get(tenant, key)).toMatchObject({ model: "demo/two", thinkingLevel: "high" });
      await ledger.answer(answered(world, key, { patch: { model: null } }));
      expect(await sessions.get(tenant, key)).toMatchObject({ model: null, thinkingLevel: "high" });
      await ledger.answer(one);
      expect(await sessions.get(tenant, key)).toMatchObject({ model: null });
    });

    it("needs no rows: what leaves no trace in the transcript keeps its key all the same", async () => {
      const world = await storeWorld(open);
      const { ledger, sessions, tenant } = world;
      const key = newKey();
      const one = answered(world, key, { messages: [], result: { text: "", stopReason: "stop" } });
      expect(await ledger.answer(one)).toMatchObject({ kind: "new", rows: [] });
      expect(await ledger.answer(one)).toMatchObject({ kind: "existing" });
      expect(await sessions.get(tenant, key)).toMatchObject({ headSeq: 0, headMessageId: null });
    });

    it("is refused to a tenant that is disabled", async () => {
      const world = await storeWorld(open);
      const { ledger, directory, tenant } = world;
      await directory.setDisabled(tenant, true);
      const answer = await ledger.answer(answered(world, newKey()));
      expect(answer).toEqual({ kind: "refused", reason: "tenant-disabled" });
    });
  });
}
