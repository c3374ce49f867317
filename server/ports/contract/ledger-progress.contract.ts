import { describe, expect, it } from "vitest";
import type { OpenStores } from "./store-fixture.ts";
import { message, newKey, rowText, storeWorld, timeless } from "./store-world.ts";

/** RunLedger.checkpoint: progress that survives, under the newest token only. */
export function ledgerProgressContract(open: OpenStores): void {
  describe("checkpoint", () => {
    it("appends rows to the transcript and answers them with their places", async () => {
      const { accept, worker, claim, checkpoint, transcript } = await storeWorld(open);
      const key = newKey();
      await accept(key);
      const grant = await claim(await worker(), key);
      const messages = [message("let me look"), { ...message("found", "toolResult"), idempotencyKey: "t-1" }];
      const stored = await checkpoint(grant, 1, { steps: [{ kind: "model", stepNo: 1 }], messages });
      expect(stored).toMatchObject({ headSeq: 3, abortRequested: false });
      expect(stored.rows).toEqual([
        {
          seq: 2,
          messageId: messages[0]!.messageId,
          parentId: grant.userRow.messageId,
          runId: grant.runId,
          idempotencyKey: null,
          body: messages[0]!.body,
          createdAt: expect.any(Number),
        },
        {
          seq: 3,
          messageId: messages[1]!.messageId,
          parentId: messages[0]!.messageId,
          runId: grant.runId,
          idempotencyKey: "t-1",
          body: messages[1]!.body,
          createdAt: expect.any(Number),
        },
      ]);
      expect(await transcript(key)).toEqual([grant.userRow, ...stored.rows]);
    });

    it("changes nothing when it is sent again, and answers the same rows", async () => {
      const { accept, worker, claim, checkpoint, transcript, ledger } = await storeWorld(open);
      const key = newKey();
      await accept(key);
      const by = await worker();
      const grant = await claim(by, key);
      const first = {
        steps: [{ kind: "model", stepNo: 1 }],
        messages: [message("one"), message("two")],
      } as const;
      const stored = await checkpoint(grant, 1, first);
      expect((await checkpoint(grant, 1, first)).rows.map(timeless)).toEqual(stored.rows.map(timeless));
      await checkpoint(grant, 2, { messages: [message("three")] });
      expect((await checkpoint(grant, 1, first)).rows.map(timeless)).toEqual(stored.rows.map(timeless));
      expect((await transcript(key)).map(rowText)).toEqual(["hello", "one", "two", "three"]);
      await ledger.release([grant]);
      expect(await claim(by, key)).toMatchObject({ stepsDone: 1 });
    });

    it("starts to count anew with each grant", async () => {
      const { accept, worker, claim, checkpoint, ledger, transcript } = await storeWorld(open);
      const key = newKey();
      await accept(key);
      const by = await worker();
      const first = await claim(by, key);
      await checkpoint(first, 1, { messages: [message("one")] });
      await checkpoint(first, 2, { messages: [message("two")] });
      await ledger.release([first]);
      await checkpoint(await claim(by, key), 1, { messages: [message("three")] });
      expect((await transcript(key)).map(rowText)).toEqual(["hello", "one", "two", "three"]);
    });

    it("tells of an abort that has arrived meanwhile", async () => {
      const { accept, worker, claim, checkpoint, ledger, tenant } = await storeWorld(open);
      const key = newKey();
      await accept(key);
      const grant = await claim(await worker(), key);
      expect((await checkpoint(grant, 1)).abortRequested).toBe(false);
      await ledger.abort(tenant, { runId: grant.runId });
      expect((await checkpoint(grant, 2)).abortRequested).toBe(true);
    });

    it("is refused to whoever has not the newest token, and leaves nothing behind", async () => {
      const { accept, worker, claim, checkpointAs, silence, transcript } = await storeWorld(open);
      const key = newKey();
      await accept(key);
      const [old, young] = [await worker("old"), await worker("young")];
      const stale = await claim(old, key);
      await silence(young);
      await claim(young, key);
      const late = { steps: [{ kind: "model", stepNo: 1 }], messages: [message("late")] } as const;
      expect(await checkpointAs(stale, 1, late)).toEqual({ kind: "fenced" });
      expect((await transcript(key)).map(rowText)).toEqual(["hello"]);
    });

    it("is refused under a released, an unknown and another run's grant", async () => {
      const { accept, worker, claim, checkpointAs, ledger } = await storeWorld(open);
      const key = newKey();
      await accept(key);
      const queued = await accept(key);
      const grant = await claim(await worker(), key);
      expect(await checkpointAs({ ...grant, runId: queued.runId }, 1)).toEqual({ kind: "fenced" });
      expect(await checkpointAs({ ...grant, token: grant.token + 1 }, 1)).toEqual({ kind: "fenced" });
      expect(await checkpointAs({ ...grant, sessionKey: newKey("other") }, 1)).toEqual({ kind: "fenced" });
      await ledger.release([grant]);
      expect(await checkpointAs(grant, 1)).toEqual({ kind: "fenced" });
    });

    it("is refused once the run has ended", async () => {
      const { accept, worker, claim, checkpointAs, finish, transcript } = await storeWorld(open);
      const key = newKey();
      await accept(key);
      const grant = await claim(await worker(), key);
      await finish(grant);
      expect(await checkpointAs(grant, 1, { messages: [message("late")] })).toEqual({ kind: "fenced" });
      expect(await transcript(key)).toHaveLength(1);
    });

    it("decides each of a batch alone and answers in its order", async () => {
      const { accept, worker, claim, ledger, transcript } = await storeWorld(open);
      const by = await worker();
      const [a, b] = [newKey("a"), newKey("b")];
      await accept(a);
      await accept(b);
      const [first, second] = [await claim(by, a), await claim(by, b)];
      const write = { checkpointNo: 1, steps: [], messages: [message("row")] };
      const answers = await ledger.checkpoint([
        { ...write, grant: second },
        { ...write, grant: { ...first, token: first.token - 1 } },
        { ...write, grant: first, messages: [message("x"), message("y")] },
      ]);
      expect(answers.map(({ kind }) => kind)).toEqual(["stored", "fenced", "stored"]);
      expect(answers.map((answer) => (answer.kind === "stored" ? answer.rows.length : 0))).toEqual([1, 0, 2]);
      expect([(await transcript(a)).length, (await transcript(b)).length]).toEqual([3, 2]);
    });
  });
}
