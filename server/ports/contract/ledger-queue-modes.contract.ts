import { describe, expect, it } from "vitest";
import { MAX_MERGED, type QueueMode } from "../../core/queue-mode.ts";
import type { RunRecord } from "../../core/run.ts";
import type { SessionKey } from "../../core/ids.ts";
import type { AcceptRequest } from "../run-ledger.ts";
import type { OpenStores } from "./store-fixture.ts";
import { message, newKey, rowText, storeWorld, type StoreWorld, textBody, timeless } from "./store-world.ts";

type Over = Partial<AcceptRequest> & { readonly sender?: string };

/** Accepts a text in a queue mode. */
const say = (
  { accept }: StoreWorld,
  key: SessionKey,
  text: string,
  queueMode: AcceptRequest["queueMode"],
  { sender, ...over }: Over = {},
) =>
  accept(key, {
    queueMode,
    input: { body: textBody("user", text), options: sender === undefined ? {} : { sender } },
    ...over,
  });

/** A session whose run is granted to a live worker, and what follows it in the queue. */
async function busy(open: OpenStores) {
  const world = await storeWorld(open);
  const key = newKey();
  const first = await say(world, key, "first", "steer");
  const by = await world.worker();
  return { ...world, world, key, first, by, grant: await world.claim(by, key) };
}

const mergedInto = (into: RunRecord, how: "steered" | "collected") => ({
  status: "succeeded",
  attempt: 0,
  result: { text: "", stopReason: how, mergedInto: into.runId },
  error: null,
  endedAt: expect.any(Number),
});

/** RunLedger and queue modes: what a message does to the run that it finds under way. */
export function ledgerQueueModesContract(open: OpenStores): void {
  describe("steer", () => {
    it("joins the run at its next model call: its row is the run's, and its own run has ended", async () => {
      const { world, key, first, grant, checkpoint, finish, run, transcript, claimAs, by } = await busy(open);
      const second = await say(world, key, "second", "steer");
      const third = await say(world, key, "third", "steer");
      const looked = message("looked", "toolResult");
      const stored = await checkpoint(grant, 1, { messages: [looked], steer: true });
      expect(stored.headSeq).toBe(4);
      const row = (seq: number, { runId }: RunRecord, parentId: string, text: string) => ({
        runId,
        row: {
          seq,
          messageId: `${runId}:user`,
          parentId,
          runId: first.runId,
          idempotencyKey: `${runId}:user`,
          body: textBody("user", text),
          createdAt: expect.any(Number),
        },
      });
      expect(stored.steered).toEqual([
        row(3, second, looked.messageId, "second"),
        row(4, third, `${second.runId}:user`, "third"),
      ]);
      expect(await transcript(key)).toEqual([
        grant.userRow,
        ...stored.rows,
        ...stored.steered.map((steered) => steered.row),
      ]);
      for (const { runId } of [second, third]) {
        expect(await run(runId)).toMatchObject(mergedInto(first, "steered"));
      }
      const finished = await finish(grant, { messages: [message("one answer")] });
      expect(finished).toMatchObject({ next: null, ready: null, headSeq: 5 });
      expect(await claimAs(by, key)).toEqual({ kind: "empty" });
    });

    it("takes nothing in twice when the checkpoint is sent again, and answers the same rows", async () => {
      const { world, key, grant, checkpoint, finish, transcript } = await busy(open);
      const second = await say(world, key, "second", "steer");
      const how = { messages: [message("looked", "toolResult")], steer: true };
      const stored = await checkpoint(grant, 1, how);
      const third = await say(world, key, "third", "steer");
      const steeredAgain = async () =>
        (await checkpoint(grant, 1, how)).steered.map(({ runId, row }) => [runId, timeless(row)]);
      const asBefore = stored.steered.map(({ runId, row }) => [runId, timeless(row)]);
      expect(asBefore).toHaveLength(1);
      expect(await steeredAgain()).toEqual(asBefore);
      const empty = await checkpoint(grant, 2, { steer: true });
      expect(empty.steered.map(({ runId }) => runId)).toEqual([third.runId]);
      const again = await checkpoint(grant, 2, { steer: true });
      expect(again.steered.map(({ row }) => timeless(row))).toEqual(
        empty.steered.map(({ row }) => timeless(row)),
      );
      expect(await steeredAgain()).toEqual(asBefore);
      expect((await transcript(key)).map(rowText)).toEqual(["first", "looked", "second", "third"]);
      expect((await finish(grant)).next).toBeNull();
      expect(second.runId).not.toBe(third.runId);
    });

    it("waits for a model call: any other checkpoint leaves it queued, and then it is next", async () => {
      const { world, key, grant, checkpoint, finish, run } = await busy(open);
      const second = await say(world, key, "second", "steer");
      const stored = await checkpoint(grant, 1, { messages: [message("call")] });
      expect(stored.steered).toEqual([]);
      expect(await run(second.runId)).toMatchObject({ status: "queued" });
      expect((await finish(grant)).next).toMatchObject({ runId: second.runId, collected: [] });
    });

    it.each(["followup", "collect", "interrupt"] as const)(
      "overtakes nobody: behind a %s it stays",
      async (other) => {
        const { world, key, grant, checkpoint, ledger, tenant } = await busy(open);
        const second = await say(world, key, "second", "steer");
        const between = await say(world, key, "between", other);
        const third = await say(world, key, "third", "steer");
        // An interrupt aborts the run, so that nothing joins it any more.
        const joins = other === "interrupt" ? [] : [second.runId];
        const stored = await checkpoint(grant, 1, { steer: true });
        expect(stored.steered.map(({ runId }) => runId)).toEqual(joins);
        const queued = await ledger.list(tenant, { status: ["queued"], limit: 9 });
        const left = [third.runId, between.runId, second.runId].filter((id) => !joins.includes(id));
        expect(queued.map(({ runId }) => runId)).toEqual(left);
      },
    );

    it("does not join a run that is to be aborted: it would be answered by nobody", async () => {
      const { world, key, grant, checkpoint, ledger, tenant, finish } = await busy(open);
      const second = await say(world, key, "second", "steer");
      await ledger.abort(tenant, { runId: grant.runId });
      const stored = await checkpoint(grant, 1, { steer: true });
      expect(stored).toMatchObject({ abortRequested: true, steered: [] });
      expect((await finish(grant, { status: "aborted" })).next).toMatchObject({ runId: second.runId });
    });

    it("joins nobody under an old token", async () => {
      const { world, key, grant, by, checkpointAs, ledger, run, claim } = await busy(open);
      const second = await say(world, key, "second", "steer");
      await ledger.release([grant]);
      expect(await checkpointAs(grant, 1, { steer: true })).toEqual({ kind: "fenced" });
      expect(await run(second.runId)).toMatchObject({ status: "queued" });
      expect(await claim(by, key)).toMatchObject({ runId: grant.runId });
    });

    it("stays with the run that it joined over its workers", async () => {
      const { world, key, grant, checkpoint, silence, worker, claim, finish, sessions, tenant } =
        await busy(open);
      await say(world, key, "second", "steer");
      await checkpoint(grant, 1, { messages: [message("looked", "toolResult")], steer: true });
      const young = await worker("young");
      await silence(young);
      const again = await claim(young, key);
      expect(again).toMatchObject({ runId: grant.runId, attempt: 2, headSeq: 3 });
      const { rows } = await sessions.context(tenant, key, 0);
      expect(rows.map((row) => [rowText(row), row.runId])).toEqual([
        ["first", grant.runId],
        ["looked", grant.runId],
        ["second", grant.runId],
      ]);
      expect((await finish(again)).next).toBeNull();
    });

    it("takes large texts along as what they are: objects", async () => {
      const { key, grant, accept, checkpoint } = await busy(open);
      const body = { object: { sha256: "c".repeat(64), bytes: 70_000 } };
      await accept(key, { queueMode: "steer", input: { body, options: {} } });
      const stored = await checkpoint(grant, 1, { steer: true });
      expect(stored.steered[0]?.row.body).toEqual(body);
      expect((await checkpoint(grant, 1, { steer: true })).steered[0]?.row.body).toEqual(body);
    });

    it("keeps every character", async () => {
      const { world, key, grant, checkpoint } = await busy(open);
      const odd = 'nul \u0000, half \ud83d, "quoted", back\\slash, 水';
      await say(world, key, odd, "steer");
      const stored = await checkpoint(grant, 1, { steer: true });
      expect(stored.steered.map(({ row }) => rowText(row))).toEqual([odd]);
    });

    it("goes in at the head of what is queued, not of what has run before", async () => {
      const { world, key, grant, finish, ledger, tenant, checkpoint } = await busy(open);
      // A redriven run has a turn of its own, whatever its mode was.
      const second = await say(world, key, "second", "steer");
      const failed = (await finish(grant)).next!;
      await finish(failed, { status: "failed" });
      const third = await say(world, key, "third", "steer");
      await ledger.redrive(tenant, second.runId);
      const running = await world.claim(await world.worker(), key);
      expect(running.runId).toBe(third.runId);
      expect((await checkpoint(running, 1, { steer: true })).steered).toEqual([]);
      expect((await finish(running)).next).toMatchObject({ runId: second.runId });
    });

    it("is decided for each of a batch alone", async () => {
      const world = await storeWorld(open);
      const { worker, claim, ledger } = world;
      const by = await worker();
      const keys = [newKey("a"), newKey("b"), newKey("c")] as const;
      for (const key of keys) {
        await say(world, key, "first", "steer");
        await say(world, key, "second", "steer");
      }
      const grants = await Promise.all(keys.map((key) => claim(by, key)));
      const answers = await ledger.checkpoint(
        grants.map((grant, i) => ({
          grant: i === 1 ? { ...grant, token: grant.token - 1 } : grant,
          checkpointNo: 1,
          steps: [],
          messages: [],
          steer: i !== 2,
        })),
      );
      const joined = answers.map((answer) => answer.kind === "stored" && answer.steered.length);
      expect(joined).toEqual([1, false, 0]);
    });
  });

  describe("collect", () => {
    it("makes one message of those that wait together, under the first one's id", async () => {
      const { world, key, grant, finish, run, transcript, ledger, tenant } = await busy(open);
      const a = await say(world, key, "second", "collect", { sender: "openclaw-tui" });
      const b = await say(world, key, "third \n", "collect", { sender: "cli" });
      const c = await say(world, key, "fourth", "collect");
      const d = await say(world, key, "fifth", "followup");
      const text =
        "[Queued messages while agent was busy]" +
        "\n\n---\nQueued #1 (from openclaw-tui)\nsecond\n\n---\nQueued #2 (from cli)\nthird\n\n---\nQueued #3\nfourth";
      const next = (await finish(grant, { messages: [message("answer")] })).next!;
      expect(next).toMatchObject({
        runId: a.runId,
        collected: [b.runId, c.runId],
        input: { options: { sender: "openclaw-tui" } },
        userRow: { seq: 3, idempotencyKey: `${a.runId}:user`, runId: a.runId },
        headSeq: 3,
      });
      expect(rowText(next.userRow)).toBe(text);
      expect(next.input.body).toEqual(next.userRow.body);
      expect((await transcript(key)).map(rowText)).toEqual(["first", "answer", text]);
      for (const { runId } of [b, c]) expect(await run(runId)).toMatchObject(mergedInto(a, "collected"));
      const queued = await ledger.list(tenant, { status: ["queued"], limit: 9 });
      expect(queued.map(({ runId }) => runId)).toEqual([d.runId]);
      expect((await finish(next)).next).toMatchObject({ runId: d.runId, collected: [] });
    });

    it("says of a single message as well that it waited", async () => {
      const { world, key, grant, finish } = await busy(open);
      await say(world, key, "second", "collect");
      const next = (await finish(grant)).next!;
      expect(next.collected).toEqual([]);
      expect(rowText(next.userRow)).toBe("[Queued messages while agent was busy]\n\n---\nQueued #1\nsecond");
    });

    it("leaves a message as it is that found its session idle", async () => {
      const world = await storeWorld(open);
      const key = newKey();
      await say(world, key, "first", "collect");
      const second = await say(world, key, "second", "collect");
      const grant = await world.claim(await world.worker(), key);
      expect(rowText(grant.userRow)).toBe("first");
      expect(grant.collected).toEqual([]);
      expect((await world.finish(grant)).next).toMatchObject({ runId: second.runId });
    });

    it("is answered again as it was, by claim and by finish, and not told by a later grant", async () => {
      const { world, key, by, grant, finish, claim, silence, worker } = await busy(open);
      const a = await say(world, key, "second", "collect");
      const b = await say(world, key, "third", "collect");
      const { next } = await finish(grant);
      expect(next).toMatchObject({ runId: a.runId, collected: [b.runId] });
      expect((await finish(grant)).next).toEqual(next);
      expect(await claim(by, key)).toEqual(next);
      const young = await worker("young");
      await silence(young);
      const again = await claim(young, key);
      expect(again).toMatchObject({ runId: a.runId, attempt: 2, collected: [], input: next!.input });
      expect(timeless(again.userRow)).toEqual(timeless(next!.userRow));
    });

    it("is collected by whoever claims: also a session that was released meanwhile", async () => {
      const { world, key, grant, finish, worker, ledger, pool } = await busy(open);
      await say(world, key, "second", "collect");
      const b = await say(world, key, "third", "collect");
      await finish(grant, { takeNext: false });
      const widths = { main: 9, subagent: 0, cron: 0 };
      const [found] = await ledger.claimReady(await worker(), [pool], 1, widths);
      expect(found).toMatchObject({ collected: [b.runId] });
    });

    it.each([
      ["an object", { object: { sha256: "d".repeat(64), bytes: 70_000 } }],
      [
        "attachments as objects",
        {
          inline: {
            role: "user",
            content: "x",
            timestamp: 1,
            __openclaw: { media: [{ url: "media://inbound/x" }] },
          },
        },
      ],
      ["attachments", { inline: { role: "user", content: [{ type: "text", text: "x" }], timestamp: 1 } }],
      ["characters that no text of the database holds", textBody("user", "nul \u0000")],
    ] as const)("leaves a message with %s to its own turn, as it is", async (_what, body) => {
      const { world, key, accept, grant, finish } = await busy(open);
      const a = await say(world, key, "second", "collect");
      const odd = await accept(key, { queueMode: "collect", input: { body, options: {} } });
      const b = await say(world, key, "third", "collect");
      const next = (await finish(grant)).next!;
      expect(next).toMatchObject({ runId: a.runId, collected: [] });
      const own = (await finish(next)).next!;
      expect(own).toMatchObject({ runId: odd.runId, collected: [], input: { body } });
      expect((await finish(own)).next).toMatchObject({ runId: b.runId });
    });

    it("collects no more than a row holds", async () => {
      const { world, key, grant, finish } = await busy(open);
      const texts = ["a", "b", "c"].map((letter) => letter.repeat(12_000));
      const runs: RunRecord[] = [];
      for (const text of texts) runs.push(await say(world, key, text, "collect"));
      const next = (await finish(grant)).next!;
      expect(next.collected).toEqual([runs[1]!.runId]);
      expect((await finish(next)).next).toMatchObject({ runId: runs[2]!.runId });
    });

    it("is part of the message also when the run is redriven, once", async () => {
      const { world, key, grant, by, finish, claim, ledger, tenant } = await busy(open);
      const a = await say(world, key, "second", "collect");
      await say(world, key, "third", "collect");
      const next = (await finish(grant)).next!;
      await finish(next, { status: "failed" });
      await ledger.redrive(tenant, a.runId);
      expect(await claim(by, key)).toMatchObject({ input: next.input, collected: [] });
    });

    it("lets what is steered in join its run later", async () => {
      const { world, key, grant, finish, checkpoint } = await busy(open);
      await say(world, key, "second", "collect");
      const c = await say(world, key, "third", "steer");
      const next = (await finish(grant)).next!;
      const stored = await checkpoint(next, 1, { steer: true });
      expect(stored.steered.map(({ runId }) => runId)).toEqual([c.runId]);
    });
  });

  describe("interrupt", () => {
    it("marks the run under way as aborted and is next", async () => {
      const { world, key, by, grant, acceptAs, request, run, ledger, checkpoint, finish } = await busy(open);
      const asked = request(key, { queueMode: "interrupt" });
      const answer = await acceptAs(asked);
      expect(answer).toMatchObject({
        kind: "new",
        ready: null,
        interrupted: { runId: grant.runId, worker: by },
        run: { status: "queued" },
      });
      expect(await run(grant.runId)).toMatchObject({ status: "running", abortRequested: true });
      expect(await ledger.heartbeat(by, "absent")).toMatchObject({ aborts: [{ runId: grant.runId }] });
      expect((await checkpoint(grant, 1)).abortRequested).toBe(true);
      const finished = await finish(grant, { status: "aborted" });
      expect(finished.next).toMatchObject({ runId: asked.runId, abortRequested: false });
      expect(await acceptAs(asked)).toMatchObject({ kind: "existing" });
      expect(await run(asked.runId)).toMatchObject({ abortRequested: false });
      expect(await say(world, key, "later", "followup")).toMatchObject({ status: "queued" });
    });

    it("of several at once aborts the run once, and all of them run in order", async () => {
      const { key, grant, ledger, request, finish, run } = await busy(open);
      const batch = [1, 2, 3].map(() => request(key, { queueMode: "interrupt" }));
      const answers = await Promise.all(batch.map((one) => ledger.accept([one])));
      const into = { runId: grant.runId };
      expect(answers.flat()).toMatchObject(batch.map(() => ({ kind: "new", interrupted: into })));
      const executed: string[] = [];
      let { next } = await finish(grant, { status: "aborted" });
      for (; next; { next } = await finish(next)) {
        expect(next.abortRequested).toBe(false);
        executed.push(next.runId);
      }
      expect(executed.toSorted()).toEqual(batch.map(({ runId }) => runId).toSorted());
      for (const { runId } of batch) expect(await run(runId)).toMatchObject({ status: "succeeded" });
    });

    it("aborts nothing that has not begun, and nothing of another session", async () => {
      const { world, key, grant, accept, run, worker, claim } = await busy(open);
      const other = newKey("other");
      const stranger = await accept(other);
      await claim(await worker(), other);
      const waiting = await say(world, key, "second", "followup");
      await say(world, key, "third", "interrupt");
      expect(await run(grant.runId)).toMatchObject({ abortRequested: true });
      expect(await run(waiting.runId)).toMatchObject({ status: "queued", abortRequested: false });
      expect(await run(stranger.runId)).toMatchObject({ abortRequested: false });
    });

    it("finds an idle session as any other message does", async () => {
      const { acceptAs, request, claim, worker } = await storeWorld(open);
      const key = newKey();
      const asked = request(key, { queueMode: "interrupt" });
      expect(await acceptAs(asked)).toMatchObject({ kind: "new", interrupted: null });
      expect(await claim(await worker(), key)).toMatchObject({ abortRequested: false });
    });

    it("reaches a run that has lost its worker: the next one ends it", async () => {
      const { key, grant, ledger, acceptAs, request, by, claim, finish } = await busy(open);
      await ledger.release([grant]);
      const asked = request(key, { queueMode: "interrupt" });
      expect(await acceptAs(asked)).toMatchObject({ kind: "new", ready: null, interrupted: null });
      const again = await claim(by, key);
      expect(again).toMatchObject({ runId: grant.runId, abortRequested: true });
      expect((await finish(again, { status: "aborted" })).next).toMatchObject({ runId: asked.runId });
    });

    it("finds the run that was granted at the same moment", async () => {
      const world = await storeWorld(open);
      const { accept, acceptAs, request, claim, worker, run, finishAll } = world;
      const by = await worker();
      for (let round = 0; round < 10; round++) {
        const key = newKey();
        const first = await accept(key);
        const asked = request(key, { queueMode: "interrupt" });
        const [grant, answer] = await Promise.all([claim(by, key), acceptAs(asked)]);
        const { abortRequested } = await run(first.runId);
        // Either the run had begun when the message came, or it had not.
        expect(abortRequested).toBe(answer.kind === "new" && answer.interrupted !== null);
        expect(grant.runId).toBe(first.runId);
        await finishAll(by, key);
      }
    });
  });

  describe("the mode of a run", () => {
    const modeOf = async (
      asked: AcceptRequest["queueMode"],
      ofSession: QueueMode | null,
    ): Promise<QueueMode> => {
      const { world, key, grant, acceptAs, request, checkpoint, finish, sessions, tenant } = await busy(open);
      if (ofSession !== null) await sessions.patch(tenant, key, { queueMode: ofSession });
      const answer = await acceptAs(request(key, { queueMode: asked }));
      if (answer.kind === "new" && answer.interrupted) return "interrupt";
      if ((await checkpoint(grant, 1, { steer: true })).steered.length > 0) return "steer";
      const next = (await finish(grant)).next;
      expect(world.tenant).toBe(tenant);
      return String(rowText(next?.userRow)).startsWith("[Queued") ? "collect" : "followup";
    };

    it.each([
      ["what was asked for", "collect", "interrupt", "collect"],
      ["the session's own", { orElse: "collect" }, "interrupt", "interrupt"],
      ["the one given for sessions without", { orElse: "collect" }, null, "collect"],
      ["a turn of its own where nothing is said", undefined, "interrupt", "followup"],
    ] as const)("is %s", async (_what, asked, ofSession, mode) => {
      expect(await modeOf(asked, ofSession)).toBe(mode);
    });
  });
}

/** On stores whose sessions may queue more than what joins a run at once. */
export function ledgerMergeLimitContract(open: OpenStores): void {
  it("lets so many runs join at once and no more; the others are next", async () => {
    const { key, grant, request, ledger, checkpoint, finish } = await busy(open);
    const more = (queueMode: QueueMode, count: number) =>
      ledger.accept(Array.from({ length: count }, () => request(key, { queueMode })));
    await more("steer", MAX_MERGED + 1);
    expect((await checkpoint(grant, 1, { steer: true })).steered).toHaveLength(MAX_MERGED);
    expect((await checkpoint(grant, 2, { steer: true })).steered).toHaveLength(1);
    await more("collect", MAX_MERGED + 1);
    const { next } = await finish(grant);
    expect(next?.collected).toHaveLength(MAX_MERGED - 1);
    const last = (await finish(next!)).next;
    expect(last).toMatchObject({ collected: [] });
    expect((await finish(last!)).next).toBeNull();
  });
}
