import { randomUUID } from "node:crypto";
import { describe, expect, it } from "vitest";
import { compactionId, compactionMessage } from "../../core/compaction.ts";
import type { SessionKey } from "../../core/ids.ts";
import type { NewMessage } from "../../core/transcript.ts";
import { newSession } from "./session-record.contract.ts";
import type { OpenStores } from "./store-fixture.ts";
import { message, newKey, storeWorld, type StoreWorld } from "./store-world.ts";

const compaction = (firstKeptSeq: number): NewMessage => ({
  messageId: compactionId(firstKeptSeq, randomUUID()),
  body: {
    inline: compactionMessage(
      { summary: "what was", firstKeptSeq, firstKeptEntryId: "x", tokensBefore: 9, tokensAfter: 1 },
      1,
    ),
  },
});

async function written(world: StoreWorld, rows: readonly NewMessage[], key = newKey()): Promise<SessionKey> {
  await world.sessions.create(world.tenant, newSession(key));
  for (const row of rows) await world.sessions.append(world.tenant, key, row);
  return key;
}

const rows = (count: number): NewMessage[] =>
  Array.from({ length: count }, (_, i) => message(`row ${i + 1}`));

/** SessionStore.context over compactions: what a summary stands for is not read any more. */
export function sessionCompactionContract(open: OpenStores): void {
  describe("context over compactions", () => {
    const seqs = async ({ sessions, tenant }: StoreWorld, key: SessionKey, afterSeq = 0) => {
      const context = await sessions.context(tenant, key, afterSeq);
      return { from: context.fromSeq, rows: context.rows.map(({ seq }) => seq) };
    };

    it("begins at the first kept row of the newest compaction; the history keeps all rows", async () => {
      const world = await storeWorld(open);
      const key = await written(world, [
        ...rows(4),
        compaction(3),
        ...rows(2),
        compaction(6),
        message("last"),
      ]);
      expect(await seqs(world, key)).toEqual({ from: 6, rows: [6, 7, 8, 9] });
      expect(await seqs(world, key, 7)).toEqual({ from: 8, rows: [8, 9] });
      expect((await world.transcript(key)).map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    });

    it("finds the compaction in a sealed segment, and answers no segment before the first kept row", async () => {
      const world = await storeWorld(open);
      const { sessions, tenant } = world;
      const key = await written(world, [...rows(5), compaction(4), ...rows(3)]);
      const [old, newer] = [
        { firstSeq: 1, lastSeq: 3, object: { sha256: "e".repeat(64), bytes: 3 } },
        { firstSeq: 4, lastSeq: 7, object: { sha256: "f".repeat(64), bytes: 4 } },
      ];
      await sessions.seal(tenant, key, old);
      await sessions.seal(tenant, key, newer);
      expect(await sessions.context(tenant, key, 0)).toMatchObject({ fromSeq: 4, segments: [newer] });
      expect(await seqs(world, key)).toEqual({ from: 4, rows: [8, 9] });
    });

    it("knows no compaction from before a reset, nor one of a session that was deleted", async () => {
      const world = await storeWorld(open);
      const { sessions, tenant } = world;
      const key = await written(world, [...rows(3), compaction(3)]);
      await sessions.reset(tenant, key, "new");
      await sessions.append(tenant, key, message("anew"));
      expect(await seqs(world, key)).toEqual({ from: 5, rows: [5, 6] });
      await sessions.delete(tenant, key);
      await written(world, rows(1), key);
      expect(await seqs(world, key)).toEqual({ from: 7, rows: [7] });
    });
  });
}
