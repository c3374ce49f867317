import { describe, expect, it } from "vitest";
import type { SessionKey } from "../../core/ids.ts";
import { INLINE_BODY_MAX_BYTES, type NewMessage } from "../../core/transcript.ts";
import type { LargeBody } from "../session-store.ts";
import { newSession } from "./session-record.contract.ts";
import type { OpenStores } from "./store-fixture.ts";
import { message, newKey, storeWorld, type StoreWorld, textBody } from "./store-world.ts";

const object = { sha256: "a".repeat(64), bytes: 40_000 };
const other = { sha256: "b".repeat(64), bytes: 40_000 };
const large = (): NewMessage => message("🦞".repeat(INLINE_BODY_MAX_BYTES / 4));

/** SessionStore.largeBodies and moveBody: what stayed in its row while object storage was away moves later. */
export function sessionLargeBodyContract(open: OpenStores): void {
  describe("largeBodies", () => {
    it("offers what is too large for a row, until it has been moved", async () => {
      const world = await storeWorld(open);
      const { sessions, tenant } = world;
      const big = large();
      const key = await written(world, [message("small"), big, message("small too")]);
      expect(await largeBodies(world)).toEqual([
        { tenant, sessionKey: key, seq: 2, message: "inline" in big.body && big.body.inline },
      ]);
      const before = await sessions.history(tenant, key, { limit: 10 });
      await sessions.moveBody(tenant, key, 2, object);
      expect(await largeBodies(world)).toEqual([]);
      const { rows } = await sessions.history(tenant, key, { limit: 10 });
      expect(rows).toEqual(before.rows.with(1, { ...before.rows[1]!, body: { object } }));
      expect((await sessions.context(tenant, key, 0)).rows).toEqual(rows);
    });

    it("offers no more than asked for", async () => {
      const world = await storeWorld(open);
      const key = await written(world, [large(), large(), large()]);
      expect(await world.sessions.largeBodies(2)).toHaveLength(2);
      expect(await world.sessions.largeBodies(0)).toEqual([]);
      await world.sessions.delete(world.tenant, key);
    });

    it("forgets those of a deleted session", async () => {
      const world = await storeWorld(open);
      const key = await written(world, [large()]);
      await world.sessions.delete(world.tenant, key);
      expect(await largeBodies(world)).toEqual([]);
    });
  });

  describe("moveBody", () => {
    it("changes nothing when it is repeated, whatever it is repeated with", async () => {
      const world = await storeWorld(open);
      const { sessions, tenant } = world;
      const key = await written(world, [large()]);
      await sessions.moveBody(tenant, key, 1, object);
      await sessions.moveBody(tenant, key, 1, object);
      await sessions.moveBody(tenant, key, 1, other);
      expect(await sessions.history(tenant, key, { limit: 10 })).toMatchObject({
        rows: [{ body: { object } }],
      });
    });

    it("does nothing to a row that was sealed meanwhile, or to one that is not there", async () => {
      const world = await storeWorld(open);
      const { sessions, tenant } = world;
      const key = await written(world, [large(), message("small")]);
      await sessions.seal(tenant, key, { firstSeq: 1, lastSeq: 1, object: other });
      expect(await largeBodies(world)).toEqual([]);
      const before = await sessions.history(tenant, key, { limit: 10 });
      await sessions.moveBody(tenant, key, 1, object);
      await sessions.moveBody(tenant, key, 3, object);
      await sessions.moveBody(tenant, newKey(), 1, object);
      expect(await sessions.history(tenant, key, { limit: 10 })).toEqual(before);
    });

    it("does not touch the successor of a deleted session", async () => {
      const world = await storeWorld(open);
      const { sessions, tenant } = world;
      const key = await written(world, [large()]);
      await sessions.delete(tenant, key);
      await sessions.create(tenant, newSession(key));
      await sessions.append(tenant, key, message("new"));
      const before = await sessions.history(tenant, key, { limit: 10 });
      await sessions.moveBody(tenant, key, 1, object);
      expect(await sessions.history(tenant, key, { limit: 10 })).toEqual(before);
    });

    it("moves the input of a run with its row, so that a redrive starts from the object", async () => {
      const world = await storeWorld(open);
      const { sessions, tenant, ledger, worker, accept, claim, finish } = world;
      const key = newKey();
      const by = await worker();
      const body = textBody("user", "x".repeat(INLINE_BODY_MAX_BYTES));
      const { runId } = await accept(key, { input: { body, options: {} } });
      const grant = await claim(by, key);
      expect(grant.input.body).toEqual(body);
      await sessions.moveBody(tenant, key, grant.userRow.seq, object);
      expect((await claim(by, key)).userRow.body).toEqual({ object });
      await finish(grant, { status: "failed" });
      await ledger.redrive(tenant, runId);
      const again = await claim(by, key);
      expect(again.input.body).toEqual({ object });
      expect(again.userRow.body).toEqual({ object });
      expect(await largeBodies(world)).toEqual([]);
    });

    it("moves the input of a steered run with its row, which is another run's", async () => {
      const world = await storeWorld(open);
      const { sessions, tenant, worker, accept, claim, checkpoint } = world;
      const key = newKey();
      const input = { body: textBody("user", "x".repeat(INLINE_BODY_MAX_BYTES)), options: {} };
      await accept(key);
      await accept(key, { queueMode: "steer", input });
      const grant = await claim(await worker(), key);
      const [steered] = (await checkpoint(grant, 1, { steer: true })).steered;
      expect(steered?.row.body).toEqual(input.body);
      await sessions.moveBody(tenant, key, steered!.row.seq, object);
      const [again] = (await checkpoint(grant, 1, { steer: true })).steered;
      expect(again?.row.body).toEqual({ object });
    });
  });
}

async function written(
  { sessions, tenant }: StoreWorld,
  messages: readonly NewMessage[],
): Promise<SessionKey> {
  const key = newKey();
  await sessions.create(tenant, newSession(key));
  for (const one of messages) await sessions.append(tenant, key, one);
  return key;
}

/** What is offered of this tenant. */
async function largeBodies({ sessions, tenant }: StoreWorld): Promise<LargeBody[]> {
  return (await sessions.largeBodies(1_000)).filter((one) => one.tenant === tenant);
}
