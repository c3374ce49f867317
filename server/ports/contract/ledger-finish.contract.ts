import { describe, expect, it } from "vitest";
import type { RunId } from "../../core/ids.ts";
import type { Grant } from "../run-ledger.ts";
import type { OpenStores } from "./store-fixture.ts";
import { message, newKey, rowText, storeWorld, textBody, timeless } from "./store-world.ts";

/** RunLedger.finish and release: the end of a grant, and what the session does next. */
export function ledgerFinishContract(open: OpenStores): void {
  describe("finish", () => {
    it("ends the run with its result, its last rows and its steps in one", async () => {
      const { accept, worker, claim, finish, run, transcript, claimAs } = await storeWorld(open);
      const key = newKey();
      await accept(key);
      const by = await worker();
      const grant = await claim(by, key);
      const result = { text: "4", stopReason: "stop", usage: { input: 9, output: 1 } };
      const finished = await finish(grant, {
        result,
        steps: [{ kind: "model", stepNo: 1 }],
        messages: [message("4")],
      });
      expect(finished).toMatchObject({ next: null, ready: null, headSeq: 2 });
      expect(await transcript(key)).toEqual([grant.userRow, ...finished.rows]);
      const ended = await run(grant.runId);
      expect(ended).toMatchObject({ status: "succeeded", result, error: null, endedAt: expect.any(Number) });
      expect(await claimAs(by, key)).toEqual({ kind: "empty" });
    });

    it.each(["failed", "timed_out", "aborted"] as const)("records a run that ended as %s", async (status) => {
      const { accept, worker, claim, finish, run } = await storeWorld(open);
      const key = newKey();
      await accept(key);
      const error = { kind: "model_unavailable", message: "the provider is away" };
      const result = { text: "half an ans", stopReason: "error" };
      const grant = await claim(await worker(), key);
      await finish(grant, { status, result, error });
      expect(await run(grant.runId)).toMatchObject({ status, result, error });
    });

    it("keeps the session's figures: tokens, preview, title, last run", async () => {
      const { accept, worker, claim, finish, sessions, tenant } = await storeWorld(open);
      const key = newKey();
      const usage = { input: 10, output: 3 };
      const first = await accept(key);
      const second = await accept(key, { input: { body: textBody("user", "and now?"), options: {} } });
      const by = await worker();
      const grant = await claim(by, key);
      expect(await sessions.get(tenant, key)).toMatchObject({ activeRunId: first.runId, lastRunId: null });
      const next = await finish(grant, {
        result: { text: "first answer", stopReason: "stop", usage },
        messages: [message("first answer")],
      });
      expect(await sessions.get(tenant, key)).toMatchObject({
        inputTokens: 10,
        outputTokens: 3,
        derivedTitle: "hello",
        activeRunId: second.runId,
        lastRunId: first.runId,
      });
      await finish(next.next!, {
        result: { text: "second answer", stopReason: "stop", usage },
        messages: [message("second answer"), message("done", "toolResult")],
      });
      expect(await sessions.get(tenant, key)).toMatchObject({
        inputTokens: 20,
        outputTokens: 6,
        headSeq: 5,
        messageCount: 5,
        lastMessagePreview: "second answer",
        derivedTitle: "hello",
        activeRunId: null,
        lastRunId: second.runId,
      });
    });

    it("grants the session's next run to the same worker, oldest first", async () => {
      const { accept, worker, claim, finish, run } = await storeWorld(open);
      const key = newKey();
      const accepted: RunId[] = [];
      for (let i = 0; i < 5; i++) accepted.push((await accept(key)).runId);
      const by = await worker();
      const executed: RunId[] = [];
      let token = 0;
      for (let grant: Grant | null = await claim(by, key); grant;) {
        expect(grant.token).toBeGreaterThan(token);
        expect(await run(grant.runId)).toMatchObject({ status: "running", worker: by });
        token = grant.token;
        executed.push(grant.runId);
        const finished = await finish(grant, { messages: [message("answer")] });
        expect(finished.ready).toBeNull();
        expect(finished.next?.userRow.seq ?? 11).toBe(grant.userRow.seq + 2);
        grant = finished.next;
      }
      expect(executed).toEqual(accepted);
    });

    it("keeps the order of a batch and of what came before it", async () => {
      const { accept, worker, claim, finish, ledger, request } = await storeWorld(open);
      const key = newKey();
      const accepted = [(await accept(key)).runId];
      const batch = Array.from({ length: 6 }, () => request(key));
      await ledger.accept(batch);
      accepted.push(...batch.map(({ runId }) => runId));
      const executed: RunId[] = [];
      for (let grant: Grant | null = await claim(await worker(), key); grant;) {
        executed.push(grant.runId);
        grant = (await finish(grant)).next;
      }
      expect(executed).toEqual(accepted);
    });

    it("releases the session without taking its next run where the worker drains", async () => {
      const { accept, worker, claim, claimAs, finish, ready, readyKeys } = await storeWorld(open);
      const key = newKey();
      await accept(key);
      const second = await accept(key);
      const grant = await claim(await worker("old"), key);
      expect(await finish(grant, { takeNext: false })).toMatchObject({ next: null, ready: ready(key) });
      expect(await readyKeys()).toEqual([key]);
      const young = await worker("young");
      expect(await claimAs(young, key)).toMatchObject({ kind: "granted", grant: { runId: second.runId } });
    });

    it("answers again as it did, with the same next grant, where the first answer was lost", async () => {
      const { accept, worker, claim, finish, transcript, run } = await storeWorld(open);
      const key = newKey();
      const first = await accept(key);
      await accept(key);
      const grant = await claim(await worker(), key);
      const how = {
        messages: [message("answer"), message("and more")],
        steps: [{ kind: "model", stepNo: 1 }],
      } as const;
      const finished = await finish(grant, how);
      const ended = await run(first.runId);
      const again = await finish(grant, { ...how, status: "failed", result: null });
      expect(again.next).toEqual(finished.next);
      expect(again.rows.map(timeless)).toEqual(finished.rows.map(timeless));
      expect(again.ready).toBeNull();
      expect(await run(first.runId)).toEqual(ended);
      expect((await transcript(key)).map(rowText)).toEqual(["hello", "answer", "and more", "hello"]);
    });

    it("answers again as it did where nothing was taken next", async () => {
      const { accept, worker, claim, finish, ready } = await storeWorld(open);
      const key = newKey();
      await accept(key);
      await accept(key);
      const grant = await claim(await worker(), key);
      const how = { takeNext: false, messages: [message("answer")] };
      const finished = await finish(grant, how);
      expect(finished.ready).toEqual(ready(key));
      const again = await finish(grant, how);
      expect(again).toMatchObject({ next: null, ready: ready(key) });
      expect(again.rows.map(timeless)).toEqual(finished.rows.map(timeless));
    });

    it("does not double a row that a checkpoint of the same grant has stored", async () => {
      const { accept, worker, claim, checkpoint, finish, transcript } = await storeWorld(open);
      const key = newKey();
      await accept(key);
      const grant = await claim(await worker(), key);
      await checkpoint(grant, 1, { messages: [message("one")] });
      await finish(grant, { messages: [message("two")] });
      const rows = await transcript(key);
      expect(rows.map(rowText)).toEqual(["hello", "one", "two"]);
      expect(rows.map(({ seq }) => seq)).toEqual([1, 2, 3]);
    });

    it("is refused to whoever has not the newest token, and leaves nothing behind", async () => {
      const { accept, worker, claim, finishAs, silence, run, transcript } = await storeWorld(open);
      const key = newKey();
      await accept(key);
      const [old, young] = [await worker("old"), await worker("young")];
      const stale = await claim(old, key);
      await silence(young);
      const grant = await claim(young, key);
      expect(await finishAs(stale, { messages: [message("late")] })).toEqual({ kind: "fenced" });
      expect(await run(grant.runId)).toMatchObject({ status: "running", worker: young, result: null });
      expect(await transcript(key)).toHaveLength(1);
    });

    it("is refused where the session was deleted under the run", async () => {
      const { accept, worker, claim, finishAs, sessions, tenant, run } = await storeWorld(open);
      const key = newKey();
      await accept(key);
      const grant = await claim(await worker(), key);
      await sessions.delete(tenant, key);
      expect(await finishAs(grant, { messages: [message("late")] })).toEqual({ kind: "fenced" });
      expect(await run(grant.runId)).toMatchObject({ status: "aborted" });
      expect(await sessions.get(tenant, key)).toBeNull();
    });

    it("is refused to a run that was redriven since, under its old grant", async () => {
      const { accept, worker, claim, finish, finishAs, ledger, tenant, run } = await storeWorld(open);
      const key = newKey();
      await accept(key);
      const grant = await claim(await worker(), key);
      await finish(grant, { status: "failed" });
      await ledger.redrive(tenant, grant.runId);
      expect(await finishAs(grant)).toEqual({ kind: "fenced" });
      expect(await run(grant.runId)).toMatchObject({ status: "queued" });
    });

    it("decides each of a batch alone and answers in its order", async () => {
      const { accept, worker, claim, ledger, finishRequest, ready } = await storeWorld(open);
      const by = await worker();
      const keys = [newKey("a"), newKey("b"), newKey("c")];
      const grants: Grant[] = [];
      for (const key of keys) {
        await accept(key);
        await accept(key);
        grants.push(await claim(by, key));
      }
      const [a, b, c] = grants as [Grant, Grant, Grant];
      const answers = await ledger.finish([
        finishRequest(c),
        finishRequest({ ...a, token: a.token - 1 }),
        finishRequest(b, { takeNext: false }),
      ]);
      expect(answers).toMatchObject([
        { kind: "finished", next: { sessionKey: c.sessionKey, attempt: 1 }, ready: null },
        { kind: "fenced" },
        { kind: "finished", next: null, ready: ready(b.sessionKey) },
      ]);
    });

    it("loses no wake-up to an accept at the same moment: one of the two sees the other", async () => {
      const { accept, worker, claim, finish, claimAs } = await storeWorld(open);
      const by = await worker();
      for (let round = 0; round < 20; round++) {
        const key = newKey();
        await accept(key);
        const grant = await claim(by, key);
        const finishing = () => finish(grant);
        const accepting = () => accept(key);
        const [finished, accepted] =
          round % 2 === 0
            ? await Promise.all([finishing(), accepting()])
            : ((await Promise.all([accepting(), finishing()])).toReversed() as [
                Awaited<ReturnType<typeof finishing>>,
                Awaited<ReturnType<typeof accepting>>,
              ]);
        expect([finished.next !== null, accepted.ready !== null].filter(Boolean)).toHaveLength(1);
        expect(await claimAs(by, key)).toMatchObject({ kind: "granted", grant: { runId: accepted.runId } });
      }
    });
  });

  describe("release", () => {
    it("puts the run back at the head of its session, counted as no failure", async () => {
      const { accept, worker, claim, ledger, ready, run, readyKeys } = await storeWorld(open);
      const key = newKey();
      const first = await accept(key);
      await accept(key);
      const grant = await claim(await worker("old"), key);
      expect(await ledger.release([grant])).toEqual([ready(key)]);
      expect(await run(first.runId)).toMatchObject({
        status: "queued",
        worker: null,
        attempt: 1,
        failures: 0,
      });
      expect(await readyKeys()).toEqual([key]);
      const young = await worker("young");
      expect(await claim(young, key)).toMatchObject({ runId: first.runId, attempt: 2, failures: 0 });
    });

    it("does nothing under a grant that is no longer the newest", async () => {
      const { accept, worker, claim, ledger, run } = await storeWorld(open);
      const key = newKey();
      await accept(key);
      const by = await worker();
      const stale = await claim(by, key);
      await ledger.release([stale]);
      const grant = await claim(by, key);
      expect(await ledger.release([stale])).toEqual([]);
      expect(await run(grant.runId)).toMatchObject({ status: "running", attempt: 2 });
      await ledger.release([grant]);
      expect(await ledger.release([stale])).toEqual([]);
    });

    it("keeps an abort mark for the next attempt", async () => {
      const { accept, worker, claim, ledger, tenant } = await storeWorld(open);
      const key = newKey();
      await accept(key);
      const by = await worker();
      const grant = await claim(by, key);
      await ledger.abort(tenant, { runId: grant.runId });
      await ledger.release([grant]);
      expect(await claim(by, key)).toMatchObject({ abortRequested: true });
    });
  });
}
