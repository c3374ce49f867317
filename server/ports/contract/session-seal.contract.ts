import { describe, expect, it } from "vitest";
import type { SessionKey } from "../../core/ids.ts";
import { HOT_TAIL_ROWS, type NewMessage } from "../../core/transcript.ts";
import type { SealCandidate, Segment } from "../session-store.ts";
import { newSession } from "./session-record.contract.ts";
import type { OpenStores } from "./store-fixture.ts";
import { message, newKey, rowText, storeWorld, type StoreWorld, timeless } from "./store-world.ts";

const object = { sha256: "e".repeat(64), bytes: 1_234 };

/** SessionStore.sealCandidates and seal: the hot tail moves to object storage, the history stays whole. */
export function sessionSealContract(open: OpenStores): void {
  describe("sealCandidates", () => {
    it("offers the oldest rows of tails that have grown too long, with their bodies", async () => {
      const world = await storeWorld(open);
      const [long, short] = [await written(world, 12), await written(world, 3)];
      const candidate = await candidateOf(world, long.key, 4);
      expect(await candidateOf(world, short.key, 4)).toBeUndefined();
      const { rows } = candidate!;
      expect(rows.length).toBeGreaterThanOrEqual(12 - 4);
      expect(rows.map(({ seq }) => seq)).toEqual(rows.map((_, i) => i + 1));
      expect(rows.map(rowText)).toEqual(rows.map((_, i) => `row ${i + 1}`));
    });

    it("offers no more sessions than asked for", async () => {
      const world = await storeWorld(open);
      for (let i = 0; i < 3; i++) await written(world, 6);
      expect(await world.sessions.sealCandidates(4, 2)).toHaveLength(2);
      expect(await world.sessions.sealCandidates(4, 0)).toEqual([]);
    });

    it("offers a long tail at its usual length, however many shorter ones there are before it", async () => {
      const world = await storeWorld(open);
      for (const name of ["a", "b", "c"]) await answered(world, newKey(name), HOT_TAIL_ROWS / 2);
      const long = newKey("z");
      await answered(world, long, HOT_TAIL_ROWS + 1);
      const offered = await world.sessions.sealCandidates(HOT_TAIL_ROWS, 2);
      expect(offered.map(({ sessionKey }) => sessionKey)).toEqual([long]);
      await world.sessions.delete(world.tenant, long);
    });

    it("leaves a sealed session alone until there is enough for another object", async () => {
      const world = await storeWorld(open);
      const key = newKey();
      await answered(world, key, HOT_TAIL_ROWS + 1);
      const [candidate] = await world.sessions.sealCandidates(HOT_TAIL_ROWS, 10);
      const lastSeq = candidate!.rows.at(-1)!.seq;
      await world.sessions.seal(world.tenant, key, { firstSeq: 1, lastSeq, object });
      await answered(world, key, 1);
      expect(await world.sessions.sealCandidates(HOT_TAIL_ROWS, 10)).toEqual([]);
      await answered(world, key, HOT_TAIL_ROWS);
      const [next] = await world.sessions.sealCandidates(HOT_TAIL_ROWS, 10);
      expect(next!.rows[0]!.seq).toBe(lastSeq + 1);
      await world.sessions.delete(world.tenant, key);
    });

    it("offers a tail that grew by rows outside of runs alone", async () => {
      const world = await storeWorld(open);
      const { key } = await written(world, HOT_TAIL_ROWS);
      expect(await candidateOf(world, key, HOT_TAIL_ROWS)).toBeUndefined();
      await world.sessions.append(world.tenant, key, message("one more"));
      expect((await candidateOf(world, key, HOT_TAIL_ROWS))!.rows[0]!.seq).toBe(1);
      await world.sessions.delete(world.tenant, key);
    });

    it("goes on behind what is sealed, and stops when the tail is short", async () => {
      const world = await storeWorld(open);
      const { key } = await written(world, 12);
      await world.sessions.seal(world.tenant, key, { firstSeq: 1, lastSeq: 5, object });
      expect((await candidateOf(world, key, 4))!.rows[0]!.seq).toBe(6);
      await world.sessions.seal(world.tenant, key, { firstSeq: 6, lastSeq: 10, object });
      expect(await candidateOf(world, key, 4)).toBeUndefined();
    });
  });

  describe("seal", () => {
    it("empties the rows and answers the segment in their place; the history stays whole", async () => {
      const world = await storeWorld(open);
      const { sessions, tenant } = world;
      const { key } = await written(world, 10);
      const segment: Segment = { firstSeq: 1, lastSeq: 6, object };
      await sessions.seal(tenant, key, segment);
      const whole = await sessions.history(tenant, key, { limit: 100 });
      expect(whole.rows.map(rowText)).toEqual(["row 7", "row 8", "row 9", "row 10"]);
      expect(whole).toMatchObject({ segments: [segment], total: 10 });
      const context = await sessions.context(tenant, key, 0);
      expect([context.rows.length, context.segments]).toEqual([4, [segment]]);
      expect(await sessions.get(tenant, key)).toMatchObject({ headSeq: 10, messageCount: 10 });
    });

    it("answers only the segments that the page needs", async () => {
      const world = await storeWorld(open);
      const { sessions, tenant } = world;
      const { key } = await written(world, 10);
      const [first, second] = [
        { firstSeq: 1, lastSeq: 3, object },
        { firstSeq: 4, lastSeq: 6, object: { sha256: "f".repeat(64), bytes: 99 } },
      ];
      await sessions.seal(tenant, key, first);
      await sessions.seal(tenant, key, second);
      const page = async (limit: number, beforeSeq?: number) => {
        const { rows, segments } = await sessions.history(tenant, key, { limit, beforeSeq });
        return [rows.map(({ seq }) => seq), segments];
      };
      expect(await page(4)).toEqual([[7, 8, 9, 10], []]);
      expect(await page(5)).toEqual([[7, 8, 9, 10], [second]]);
      expect(await page(3, 6)).toEqual([[], [first, second]]);
      expect(await page(2, 4)).toEqual([[], [first]]);
      expect((await sessions.context(tenant, key, 4)).segments).toEqual([second]);
      expect((await sessions.context(tenant, key, 6)).segments).toEqual([]);
    });

    it("does nothing when it is repeated, and refuses what does not continue the last segment", async () => {
      const world = await storeWorld(open);
      const { sessions, tenant } = world;
      const { key } = await written(world, 10);
      await sessions.seal(tenant, key, { firstSeq: 1, lastSeq: 4, object });
      const before = await sessions.history(tenant, key, { limit: 100 });
      for (const [firstSeq, lastSeq] of [
        [1, 4],
        [1, 6],
        [3, 7],
        [6, 8],
        [5, 11],
      ] as const) {
        await sessions.seal(tenant, key, { firstSeq, lastSeq, object });
      }
      expect(await sessions.history(tenant, key, { limit: 100 })).toEqual(before);
    });

    it("does not make a session forget which messages it has", async () => {
      const world = await storeWorld(open);
      const { sessions, tenant } = world;
      const { key, messages } = await written(world, 5);
      const first = (await sessions.history(tenant, key, { limit: 5 })).rows[0]!;
      await sessions.seal(tenant, key, { firstSeq: 1, lastSeq: 3, object });
      const again = await sessions.append(tenant, key, messages[0]!);
      expect(timeless(again!)).toEqual(timeless(first));
      expect(await sessions.get(tenant, key)).toMatchObject({ headSeq: 5 });
    });

    it("goes with the session's runs: a checkpoint and a grant answer rows that were sealed meanwhile", async () => {
      const { sessions, tenant, accept, worker, claim, checkpoint } = await storeWorld(open);
      const key = newKey();
      await accept(key);
      const by = await worker();
      const grant = await claim(by, key);
      const write = { messages: [message("one"), message("two")] };
      const stored = await checkpoint(grant, 1, write);
      await sessions.seal(tenant, key, { firstSeq: 1, lastSeq: 2, object });
      expect((await checkpoint(grant, 1, write)).rows.map(timeless)).toEqual(stored.rows.map(timeless));
      expect((await claim(by, key)).userRow).toEqual(grant.userRow);
    });

    it("starts at the session's own rows: a segment of a deleted one does not fit its successor", async () => {
      const world = await storeWorld(open);
      const { sessions, tenant } = world;
      const { key } = await written(world, 6);
      const late = (await candidateOf(world, key, 2))!.rows;
      await sessions.delete(tenant, key);
      await sessions.create(tenant, newSession(key));
      for (let i = 0; i < 6; i++) await sessions.append(tenant, key, message(`new ${i}`));
      await sessions.seal(tenant, key, { firstSeq: late[0]!.seq, lastSeq: late.at(-1)!.seq, object });
      const { rows, segments } = await sessions.history(tenant, key, { limit: 100 });
      expect([rows.length, segments]).toEqual([6, []]);
    });

    it("keeps the history before a reset readable", async () => {
      const world = await storeWorld(open);
      const { sessions, tenant } = world;
      const { key } = await written(world, 4);
      await sessions.reset(tenant, key, "new");
      const segment = { firstSeq: 1, lastSeq: 4, object };
      await sessions.seal(tenant, key, segment);
      expect(await sessions.history(tenant, key, { limit: 10 })).toMatchObject({ segments: [], total: 1 });
      const all = await sessions.history(tenant, key, { limit: 10, includeReset: true });
      expect(all).toMatchObject({ segments: [segment], total: 5 });
    });
  });
}

/** A session with so many rows, and what was appended. */
async function written(
  { sessions, tenant }: StoreWorld,
  rows: number,
): Promise<{ key: SessionKey; messages: NewMessage[] }> {
  const key = newKey();
  await sessions.create(tenant, newSession(key));
  const messages = Array.from({ length: rows }, (_, i) => message(`row ${i + 1}`));
  for (const one of messages) await sessions.append(tenant, key, one);
  return { key, messages };
}

/** One run whose answer is so many messages long. */
async function answered({ accept, worker, claim, finish }: StoreWorld, key: SessionKey, messages: number) {
  await accept(key);
  const grant = await claim(await worker(), key);
  await finish(grant, { messages: Array.from({ length: messages }, (_, i) => message(`part ${i}`)) });
}

async function candidateOf(
  { sessions, tenant }: StoreWorld,
  key: SessionKey,
  tailRows: number,
): Promise<SealCandidate | undefined> {
  const candidates = await sessions.sealCandidates(tailRows, 10_000);
  return candidates.find((one) => one.tenant === tenant && one.sessionKey === key);
}
