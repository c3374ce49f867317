import { describe, expect, it } from "vitest";
import { agentId, type SessionKey, type TenantId, tenantId } from "../../core/ids.ts";
import type { SessionQuery, SessionStore } from "../session-store.ts";
import { newSession } from "./session-record.contract.ts";
import type { OpenStores } from "./store-fixture.ts";
import { message, newKey, storeWorld, type StoreWorld, textBody, unique } from "./store-world.ts";

/** SessionStore.list, and that no method sees another tenant's session. */
export function sessionListContract(open: OpenStores): void {
  describe("list", () => {
    it("answers the most recently updated first, whatever has updated it", async () => {
      const world = await storeWorld(open);
      const { sessions, tenant, accept, worker, finishAll, passTime } = world;
      const [a, b, c, d] = (await sessionsOneByOne(world, 4)) as [
        SessionKey,
        SessionKey,
        SessionKey,
        SessionKey,
      ];
      expect(await keysOf(sessions, tenant)).toEqual([d, c, b, a]);
      await sessions.patch(tenant, a, { label: "patched" });
      await passTime(1_000);
      expect(await keysOf(sessions, tenant)).toEqual([a, d, c, b]);
      await sessions.append(tenant, b, message("injected"));
      await passTime(1_000);
      expect(await keysOf(sessions, tenant)).toEqual([b, a, d, c]);
      await accept(c);
      await finishAll(await worker(), c);
      await passTime(1_000);
      expect(await keysOf(sessions, tenant)).toEqual([c, b, a, d]);
      await sessions.reset(tenant, d, "new");
      expect(await keysOf(sessions, tenant)).toEqual([d, c, b, a]);
    });

    it("finds sessions by the beginning of their keys, archived ones too", async () => {
      const world = await storeWorld(open);
      const { sessions, tenant } = world;
      const [a, b, c] = [newKey("range-b"), newKey("range-a"), newKey("other")];
      for (const key of [a, b, c]) await sessions.create(tenant, newSession(key));
      await sessions.patch(tenant, a, { archived: true });
      const found = await sessions.withPrefix(tenant, "agent:main:range-", 10);
      expect(found.map(({ key }) => key)).toEqual([b, a]);
      expect(await sessions.withPrefix(tenant, "agent:main:range-", 1)).toHaveLength(1);
      expect(await sessions.withPrefix(tenant, "agent:main:ranges", 10)).toEqual([]);
      expect(await sessions.withPrefix(tenantId(unique("other")), "agent:main:range-", 10)).toEqual([]);
    });

    it("pages by offset and by the last session of the page before", async () => {
      const world = await storeWorld(open);
      const { sessions, tenant } = world;
      const keys = (await sessionsOneByOne(world, 5)).toReversed();
      const page = await sessions.list(tenant, { limit: 2 });
      expect(page.total).toBe(5);
      expect(page.sessions.map(({ key }) => key)).toEqual(keys.slice(0, 2));
      expect(await keysOf(sessions, tenant, { limit: 2, offset: 2 })).toEqual(keys.slice(2, 4));
      expect(await keysOf(sessions, tenant, { limit: 2, before: keys[1]! })).toEqual(keys.slice(2, 4));
      expect(await keysOf(sessions, tenant, { before: keys[4]! })).toEqual([]);
      expect((await sessions.list(tenant, { limit: 2, before: keys[1]! })).total).toBe(5);
    });

    it("pages through sessions that were updated at the same moment", async () => {
      const { sessions, tenant } = await storeWorld(open);
      const created = Array.from({ length: 7 }, () => newKey());
      await Promise.all(created.map((key) => sessions.create(tenant, newSession(key))));
      const listed: SessionKey[] = [];
      for (;;) {
        const page = await keysOf(sessions, tenant, { limit: 3, before: listed.at(-1) });
        if (page.length === 0) break;
        listed.push(...page);
      }
      expect(listed.toSorted()).toEqual(created.toSorted());
    });

    it("filters by agent, by age, by archive, and counts what is left", async () => {
      const { sessions, tenant, passTime } = await storeWorld(open);
      const [old, archived, other, young] = [newKey("o"), newKey("a"), newKey("x"), newKey("y")];
      await sessions.create(tenant, newSession(old));
      await sessions.create(tenant, newSession(archived, { archived: true }));
      await passTime(60_000);
      await sessions.create(tenant, newSession(other, { agentId: "work" }));
      await passTime(1_000);
      await sessions.create(tenant, newSession(young));
      expect(await keysOf(sessions, tenant, { agentId: agentId("work") })).toEqual([other]);
      expect(await keysOf(sessions, tenant, { activeWithinMs: 30_000 })).toEqual([young, other]);
      // Longer than any calendar: of all time.
      const forever = { activeWithinMs: Number.MAX_SAFE_INTEGER * 60_000 };
      expect(await keysOf(sessions, tenant, forever)).toEqual(await keysOf(sessions, tenant, {}));
      expect(await keysOf(sessions, tenant, { archived: true })).toEqual([archived]);
      expect(await keysOf(sessions, tenant, { archived: false })).toEqual([young, other, old]);
      expect(await sessions.list(tenant, { limit: 1, archived: false })).toMatchObject({ total: 3 });
      expect((await keysOf(sessions, tenant)).length).toBe(4);
    });

    it("filters by agents, label, id, pin, kind and open runs", async () => {
      const { sessions, tenant, accept, worker, claim, finish } = await storeWorld(open);
      const [busy, waiting, pinned, labelled] = [newKey("b"), newKey("w"), newKey("p"), newKey("l")];
      const [cron, subagent] = [newKey("cron:job"), newKey("subagent:x")];
      await sessions.create(tenant, newSession(labelled, { label: "Trip", agentId: "work" }));
      await sessions.create(tenant, newSession(pinned, { pinned: true, label: "trip" }));
      await sessions.create(tenant, newSession(cron));
      await sessions.create(tenant, newSession(subagent));
      await accept(busy);
      const grant = await claim(await worker(), busy);
      await accept(waiting);
      const found = async (query: Partial<SessionQuery>): Promise<readonly SessionKey[]> =>
        (await keysOf(sessions, tenant, query)).toSorted();
      expect(await found({ label: "Trip" })).toEqual([labelled]);
      expect(await found({ label: "Tri" })).toEqual([]);
      expect(await found({ sessionId: `id-of-${cron}` })).toEqual([cron]);
      expect(await found({ sessionId: `id-of-${cron}`, archived: true })).toEqual([]);
      expect(await found({ pinned: true })).toEqual([pinned]);
      expect(await found({ pinned: true, archived: false, limit: 1 })).toEqual([pinned]);
      const of = (...agents: string[]) => ({ agentIds: agents.map(agentId) });
      expect(await found(of("work", "none"))).toEqual([labelled]);
      expect(await found(of())).toEqual([]);
      const all = await found({});
      expect(all).toHaveLength(6);
      expect(await found({ pinned: false })).toEqual(all.filter((key) => key !== pinned));
      expect(await found({ excludeCron: true })).toEqual(all.filter((key) => key !== cron));
      const chats = all.filter((key) => key !== cron && key !== subagent);
      expect(await found({ excludeCron: true, excludeSubagents: true })).toEqual(chats);
      expect(await found({ activeOnly: true })).toEqual([busy, waiting].toSorted());
      expect(await sessions.list(tenant, { activeOnly: true, limit: 1 })).toMatchObject({ total: 2 });
      await finish(grant);
      expect(await found({ activeOnly: true })).toEqual([waiting]);
    });

    it("searches key, label and title, whatever the case, and takes the words literally", async () => {
      const { sessions, tenant, accept, worker, finishAll } = await storeWorld(open);
      const [byKey, byLabel, byTitle] = [newKey("budget"), newKey("b"), newKey("c")];
      await sessions.create(tenant, newSession(byKey));
      await sessions.create(tenant, newSession(byLabel, { label: "My Budget 100%_" }));
      await accept(byTitle, { input: { body: textBody("user", "The BUDGET, please"), options: {} } });
      await finishAll(await worker(), byTitle);
      const found = await keysOf(sessions, tenant, { search: "budget" });
      expect(found.sort()).toEqual([byKey, byLabel, byTitle].sort());
      expect(await keysOf(sessions, tenant, { search: "100%_" })).toEqual([byLabel]);
      expect(await keysOf(sessions, tenant, { search: "m_" })).toEqual([]);
      expect(await keysOf(sessions, tenant, { search: "holiday" })).toEqual([]);
    });
  });

  describe("tenants", () => {
    it("never see, change or remove each other's sessions", async () => {
      const { sessions, tenant, directory } = await storeWorld(open);
      const other = tenantId(unique("tenant"));
      await directory.addTenant(other, "shared");
      const key = newKey();
      await sessions.create(tenant, newSession(key, { label: "mine" }));
      await sessions.append(tenant, key, message("private"));
      const mine = await sessions.get(tenant, key);

      expect(await sessions.get(other, key)).toBeNull();
      expect(await sessions.list(other, { limit: 10 })).toEqual({ sessions: [], total: 0 });
      expect(await sessions.list(other, { limit: 10, search: "mine", before: key })).toMatchObject({
        total: 0,
      });
      expect(await sessions.patch(other, key, { label: "stolen" })).toBeNull();
      expect(await sessions.reset(other, key, "new")).toBeNull();
      expect(await sessions.append(other, key, message("planted"))).toBeNull();
      expect(await sessions.delete(other, key)).toEqual({ deleted: false });
      const nothing = { rows: [], segments: [] };
      expect(await sessions.history(other, key, { limit: 10 })).toEqual({ ...nothing, total: 0, fromSeq: 0 });
      expect(await sessions.context(other, key, 0)).toEqual({ ...nothing, fromSeq: 1 });
      await sessions.seal(other, key, {
        firstSeq: 1,
        lastSeq: 1,
        object: { sha256: "d".repeat(64), bytes: 1 },
      });

      expect(await sessions.get(tenant, key)).toEqual(mine);
      expect((await sessions.history(tenant, key, { limit: 10 })).rows).toHaveLength(1);
    });

    it("have sessions of the same key side by side", async () => {
      const { sessions, tenant, directory } = await storeWorld(open);
      const other = tenantId(unique("tenant"));
      await directory.addTenant(other, "shared");
      const key = newKey();
      await sessions.create(tenant, newSession(key, { label: "mine" }));
      const { created } = await sessions.create(other, newSession(key, { label: "theirs" }));
      expect(created).toBe(true);
      await sessions.delete(other, key);
      expect(await sessions.get(tenant, key)).toMatchObject({ tenant, label: "mine" });
    });
  });
}

const keysOf = async (
  sessions: SessionStore,
  tenant: TenantId,
  query: Partial<SessionQuery> = {},
): Promise<SessionKey[]> =>
  (await sessions.list(tenant, { limit: 100, ...query })).sessions.map(({ key }) => key);

/** Sessions that were created a second apart, in that order. */
async function sessionsOneByOne(
  { sessions, tenant, passTime }: StoreWorld,
  count: number,
): Promise<SessionKey[]> {
  const keys: SessionKey[] = [];
  for (let i = 0; i < count; i++) {
    keys.push(newKey(`s${i}`));
    await sessions.create(tenant, newSession(keys[i]!));
    await passTime(1_000);
  }
  return keys;
}
