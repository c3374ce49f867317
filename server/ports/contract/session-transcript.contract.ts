import { describe, expect, it } from "vitest";
import type { SessionKey } from "../../core/ids.ts";
import { newSession } from "./session-record.contract.ts";
import type { OpenStores } from "./store-fixture.ts";
import { message, newKey, rowText, storeWorld, type StoreWorld, timeless } from "./store-world.ts";

/** SessionStore.append, history and context. */
export function sessionTranscriptContract(open: OpenStores): void {
  describe("append", () => {
    it("adds a row of no run at the end of the transcript", async () => {
      const { sessions, tenant, accept, worker, finishAll, transcript } = await storeWorld(open);
      const key = newKey();
      await accept(key);
      await finishAll(await worker(), key);
      const injected = { ...message("by hand"), idempotencyKey: "k-1" };
      const row = await sessions.append(tenant, key, injected);
      expect(row).toEqual({
        seq: 2,
        messageId: injected.messageId,
        parentId: (await transcript(key))[0]!.messageId,
        runId: null,
        idempotencyKey: "k-1",
        body: injected.body,
        createdAt: expect.any(Number),
      });
      expect((await transcript(key)).at(-1)).toEqual(row);
      expect(await sessions.get(tenant, key)).toMatchObject({
        headSeq: 2,
        messageCount: 2,
        lastMessagePreview: "by hand",
      });
    });

    it("is found by its id, from before a reset as well", async () => {
      const { sessions, tenant } = await storeWorld(open);
      const key = newKey();
      await sessions.create(tenant, newSession(key));
      const [first, second] = [message("one"), message("two")];
      await sessions.append(tenant, key, first);
      await sessions.append(tenant, key, second);
      expect(await sessions.get(tenant, key)).toMatchObject({ headMessageId: second.messageId });
      await sessions.reset(tenant, key, "new");
      expect(await sessions.seqOf(tenant, key, first.messageId)).toBe(1);
      expect(await sessions.seqOf(tenant, key, second.messageId)).toBe(2);
      expect(await sessions.seqOf(tenant, key, "nope")).toBeNull();
      expect(await sessions.seqOf(tenant, newKey(), first.messageId)).toBeNull();
      const whole = await sessions.history(tenant, key, { limit: 10, includeReset: true });
      expect(whole).toMatchObject({ total: 3, fromSeq: 0 });
      expect(await sessions.history(tenant, key, { limit: 10 })).toMatchObject({ total: 1, fromSeq: 2 });
    });

    it("answers the row that has the messageId already", async () => {
      const { sessions, tenant, transcript } = await storeWorld(open);
      const key = newKey();
      await sessions.create(tenant, newSession(key));
      const [first, second] = [message("one"), message("two")];
      const row = await sessions.append(tenant, key, first);
      await sessions.append(tenant, key, second);
      expect(timeless((await sessions.append(tenant, key, first))!)).toEqual(timeless(row!));
      expect((await transcript(key)).map(rowText)).toEqual(["one", "two"]);
    });

    it("numbers rows without a gap beside a run that writes", async () => {
      const { sessions, tenant, accept, worker, claim, checkpoint, finish, transcript } =
        await storeWorld(open);
      const key = newKey();
      await accept(key);
      const grant = await claim(await worker(), key);
      await Promise.all([
        checkpoint(grant, 1, { messages: [message("a"), message("b")] }),
        sessions.append(tenant, key, message("injected")),
        sessions.append(tenant, key, message("injected too")),
      ]);
      await finish(grant, { messages: [message("c")] });
      const rows = await transcript(key);
      expect(rows.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 6]);
      expect(rows.map(({ parentId }) => parentId)).toEqual([
        null,
        ...rows.slice(0, -1).map(({ messageId }) => messageId),
      ]);
    });

    it("keeps every field and character of a message", async () => {
      const { sessions, tenant, transcript } = await storeWorld(open);
      const key = newKey();
      await sessions.create(tenant, newSession(key));
      const strange = {
        messageId: "strange",
        body: {
          inline: {
            role: "assistant" as const,
            content: [
              {
                type: "text" as const,
                text: 'quotes " \\ and \u0000 NUL, 🦞, \u2028, lone \ud800 surrogate',
              },
              {
                type: "toolCall" as const,
                id: "c1",
                name: "read",
                arguments: { z: 1, a: [null, 1e21, "x"] },
              },
            ],
            timestamp: 1_790_000_000_001,
            unknownField: { nested: true },
          },
        },
      };
      await sessions.append(tenant, key, strange);
      const [row] = await transcript(key);
      expect(JSON.stringify(row!.body)).toBe(JSON.stringify(strange.body));
    });

    it("cuts preview and title to whole characters", async () => {
      const { sessions, tenant } = await storeWorld(open);
      const key = newKey();
      await sessions.create(tenant, newSession(key));
      await sessions.append(tenant, key, message("🦞".repeat(300), "user"));
      expect(await sessions.get(tenant, key)).toMatchObject({
        lastMessagePreview: "🦞".repeat(200),
        derivedTitle: "🦞".repeat(120),
      });
    });

    it("does not know a session that is not there", async () => {
      const { sessions, tenant } = await storeWorld(open);
      expect(await sessions.append(tenant, newKey(), message("lost"))).toBeNull();
    });
  });

  describe("history", () => {
    it("answers the newest rows, oldest first, and goes back page by page", async () => {
      const world = await storeWorld(open);
      const { sessions, tenant } = world;
      const key = await written(world, 10);
      const page = async (limit: number, beforeSeq?: number) => {
        const { rows, total, segments } = await sessions.history(tenant, key, { limit, beforeSeq });
        expect([total, segments]).toEqual([10, []]);
        return rows.map(({ seq }) => seq);
      };
      expect(await page(4)).toEqual([7, 8, 9, 10]);
      expect(await page(4, 7)).toEqual([3, 4, 5, 6]);
      expect(await page(4, 3)).toEqual([1, 2]);
      expect(await page(4, 1)).toEqual([]);
      expect(await page(100)).toHaveLength(10);
    });

    it("stops at the last reset", async () => {
      const world = await storeWorld(open);
      const { sessions, tenant } = world;
      const key = await written(world, 3);
      await sessions.reset(tenant, key, "new");
      await sessions.append(tenant, key, message("after"));
      const { rows } = await sessions.history(tenant, key, { limit: 10, beforeSeq: 5 });
      expect(rows.map(({ seq }) => seq)).toEqual([4]);
      const back = await sessions.history(tenant, key, { limit: 2, beforeSeq: 5, includeReset: true });
      expect(back.rows.map(({ seq }) => seq)).toEqual([3, 4]);
      expect(back.total).toBe(5);
    });

    it("is empty for a session that is not there", async () => {
      const { sessions, tenant } = await storeWorld(open);
      const answer = await sessions.history(tenant, newKey(), { limit: 10 });
      expect(answer).toEqual({ rows: [], segments: [], total: 0, fromSeq: 0 });
    });
  });

  describe("context", () => {
    it("answers all rows after the one that the worker knows", async () => {
      const world = await storeWorld(open);
      const { sessions, tenant } = world;
      const key = await written(world, 6);
      const seqs = async (afterSeq: number) =>
        (await sessions.context(tenant, key, afterSeq)).rows.map(({ seq }) => seq);
      expect(await seqs(0)).toEqual([1, 2, 3, 4, 5, 6]);
      expect(await seqs(4)).toEqual([5, 6]);
      expect(await seqs(6)).toEqual([]);
    });

    it("begins at the last reset, whatever the worker knows of before", async () => {
      const world = await storeWorld(open);
      const { sessions, tenant } = world;
      const key = await written(world, 3);
      await sessions.reset(tenant, key, "new");
      await sessions.append(tenant, key, message("after"));
      const { rows } = await sessions.context(tenant, key, 1);
      expect(rows.map(({ seq }) => seq)).toEqual([4, 5]);
    });
  });
}

/** A session with so many rows. */
async function written({ sessions, tenant }: StoreWorld, rows: number): Promise<SessionKey> {
  const key = newKey();
  await sessions.create(tenant, newSession(key));
  for (let i = 1; i <= rows; i++) await sessions.append(tenant, key, message(`row ${i}`));
  return key;
}
