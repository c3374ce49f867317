import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { tenantId } from "../../core/ids.ts";
import type { OpenStores } from "./store-fixture.ts";
import { newKey, storeWorld, unique } from "./store-world.ts";

const newToken = (): string => randomBytes(24).toString("base64url");

/** Every promise of TenantDirectory, to be run on each adapter. */
export function tenantDirectoryContract(adapter: string, open: OpenStores): void {
  describe(`TenantDirectory contract: ${adapter}`, () => {
    it("lists the tenants that were added", async () => {
      const { directory, tenant, pool } = await storeWorld(open);
      const listed = (await directory.tenants()).filter(({ id }) => id === tenant);
      expect(listed).toEqual([
        { id: tenant, pool, disabled: false, createdAt: expect.any(Number), limits: {}, effectiveLimits: {} },
      ]);
    });

    it("adds a tenant once, and leaves it in its pool", async () => {
      const { directory } = await storeWorld(open);
      const id = tenantId(unique("tenant"));
      const added = await directory.addTenant(id, "shared");
      expect(added).toMatchObject({ id, pool: "shared", disabled: false });
      const answers = await Promise.all([
        directory.addTenant(id, "other"),
        directory.addTenant(id, "shared"),
      ]);
      expect(answers).toEqual([added, added]);
      expect((await directory.tenants()).filter((record) => record.id === id)).toEqual([added]);
    });

    it("makes sure of many at once: adds those that are missing, and leaves the others in their pools", async () => {
      const { directory, tenant, pool } = await storeWorld(open);
      await directory.setLimits(tenant, { sessions: 7 });
      const ids = [1, 2, 3].map(() => tenantId(unique("tenant")));
      const [one, two, three] = ids;
      const wanted = [
        { id: one!, pool: "vip", limits: { sessions: 1, queuedRuns: null } },
        { id: two!, pool: "vip" },
        { id: three!, pool: "shared" },
        { id: tenant, pool: "vip" },
      ];
      expect(await directory.ensureTenants(wanted)).toBe(3);
      expect(await directory.ensureTenants(wanted)).toBe(0);
      expect(await directory.ensureTenants([])).toBe(0);
      const known = new Map((await directory.tenants()).map((record) => [record.id, record]));
      expect(wanted.map(({ id }) => known.get(id))).toMatchObject([
        { pool: "vip", limits: { sessions: 1, queuedRuns: null }, effectiveLimits: { sessions: 1 } },
        { pool: "vip", limits: {} },
        { pool: "shared", limits: {} },
        { pool, limits: { sessions: 7 } },
      ]);
      await directory.ensureTenants([{ id: tenant, pool, limits: { sessions: 8 } }]);
      expect((await directory.tenants()).find(({ id }) => id === tenant)?.limits).toEqual({ sessions: 8 });
    });

    it("makes sure of all of them or of none", async () => {
      const { directory } = await storeWorld(open);
      const [gone, fresh] = [1, 2].map(() => tenantId(unique("tenant")));
      await directory.addTenant(gone!, "shared");
      await directory.setDisabled(gone!, true);
      await directory.removeTenant(gone!);
      const wanted = [fresh!, gone!].map((id) => ({ id, pool: "shared" }));
      await expect(directory.ensureTenants(wanted)).rejects.toMatchObject({ code: "REQUEST_CONFLICT" });
      expect((await directory.tenants()).map(({ id }) => id)).not.toContain(fresh);
    });

    it("tells by a token whose it is and what it allows", async () => {
      const { directory, tenant, pool } = await storeWorld(open);
      const [admin, reader] = [newToken(), newToken()];
      await directory.addToken(tenant, admin, ["operator.admin"], "laptop");
      await directory.addToken(tenant, reader, ["operator.read", "operator.write"], "phone");
      const principal = await directory.authenticate(admin);
      expect(principal).toEqual({
        tenant,
        pool,
        scopes: ["operator.admin"],
        limits: {},
        tokenId: expect.stringMatching(/^[0-9a-f]{64}$/),
      });
      const other = await directory.authenticate(reader);
      expect(other).toMatchObject({ tenant, scopes: ["operator.read", "operator.write"] });
      expect(other!.tokenId).not.toBe(principal!.tokenId);
    });

    it("tells nothing of the token itself", async () => {
      const { directory, tenant } = await storeWorld(open);
      const token = newToken();
      await directory.addToken(tenant, token, ["operator.admin"], "laptop");
      const told = JSON.stringify([await directory.authenticate(token), await directory.tenants()]);
      expect(told).not.toContain(token);
      expect(told).not.toContain(token.slice(0, 8));
    });

    it("knows no other token: neither a part nor another spelling of one", async () => {
      const { directory, tenant } = await storeWorld(open);
      const token = `${newToken()}aB`;
      await directory.addToken(tenant, token, ["operator.admin"], "laptop");
      for (const wrong of [newToken(), "", token.slice(0, -1), `${token} `, token.toLowerCase()]) {
        expect(await directory.authenticate(wrong)).toBeNull();
      }
    });

    it("adds a token once: it keeps its tenant and its scopes", async () => {
      const { directory, tenant } = await storeWorld(open);
      const other = tenantId(unique("tenant"));
      await directory.addTenant(other, "shared");
      const token = newToken();
      await directory.addToken(tenant, token, ["operator.read"], "first");
      await directory.addToken(tenant, token, ["operator.admin"], "second");
      await directory.addToken(other, token, ["operator.admin"], "third");
      expect(await directory.authenticate(token)).toMatchObject({ tenant, scopes: ["operator.read"] });
    });

    it("replaces a token: the others of its label are void, it is valid again when it comes back", async () => {
      const { directory, tenant } = await storeWorld(open);
      const [first, second, other] = [newToken(), newToken(), newToken()];
      const scopes = ["operator.admin"];
      const valid = async (): Promise<boolean[]> =>
        Promise.all(
          [first, second, other].map(async (token) => (await directory.authenticate(token)) !== null),
        );
      await directory.addToken(tenant, other, scopes, "laptop");
      await directory.replaceToken(tenant, first, scopes, "operator");
      await directory.replaceToken(tenant, first, scopes, "operator");
      expect(await valid()).toEqual([true, false, true]);
      await directory.replaceToken(tenant, second, scopes, "operator");
      expect(await valid()).toEqual([false, true, true]);
      await directory.replaceToken(tenant, first, scopes, "operator");
      expect(await valid()).toEqual([true, false, true]);
    });

    it("refuses a token for a tenant that is not there", async () => {
      const { directory } = await storeWorld(open);
      const token = newToken();
      const stranger = tenantId(unique("stranger"));
      const adding = directory.addToken(stranger, token, ["operator.admin"], "x");
      await expect(adding).rejects.toMatchObject({ name: "HAError", code: "NOT_FOUND" });
      await directory.addTenant(stranger, "shared");
      expect(await directory.authenticate(token)).toBeNull();
    });

    it("shuts a disabled tenant out, and lets it in again", async () => {
      const { directory, tenant } = await storeWorld(open);
      const token = newToken();
      await directory.addToken(tenant, token, ["operator.admin"], "laptop");
      const tokenId = (await directory.authenticate(token))!.tokenId;
      const isGood = async (): Promise<boolean> => (await directory.goodTokens([tokenId])).has(tokenId);
      expect(await isGood()).toBe(true);
      await directory.setDisabled(tenant, true);
      await directory.setDisabled(tenant, true);
      expect(await directory.authenticate(token)).toBeNull();
      expect(await isGood()).toBe(false);
      expect(await directory.tenants()).toContainEqual(
        expect.objectContaining({ id: tenant, disabled: true }),
      );
      await directory.setDisabled(tenant, false);
      expect(await directory.authenticate(token)).toMatchObject({ tenant });
      expect(await isGood()).toBe(true);
    });

    it("keeps the first secret of a name for all who ask", async () => {
      const { directory } = await storeWorld(open);
      const name = unique("secret");
      const [one, two] = [Uint8Array.from([1, 2, 0]), Uint8Array.from([3])];
      expect(Uint8Array.from(await directory.sharedSecret(name, one))).toEqual(one);
      expect(Uint8Array.from(await directory.sharedSecret(name, two))).toEqual(one);
    });

    it("disables nobody who is not there", async () => {
      const { directory } = await storeWorld(open);
      const disabling = directory.setDisabled(tenantId(unique("stranger")), true);
      await expect(disabling).rejects.toMatchObject({ name: "HAError", code: "NOT_FOUND" });
    });

    it("lists tokens without telling them, and revokes one of them or those of a label", async () => {
      const { directory, tenant } = await storeWorld(open);
      const tokens = [newToken(), newToken(), newToken()];
      for (const [i, token] of tokens.entries()) {
        await directory.addToken(tenant, token, ["operator.read"], i === 0 ? "phone" : "laptop");
      }
      const ids: string[] = [];
      for (const token of tokens) ids.push((await directory.authenticate(token))!.tokenId);
      const listed = await directory.tokens(tenant);
      expect(listed.map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
      expect(listed.find(({ id }) => id === ids[0])).toEqual({
        id: ids[0],
        label: "phone",
        scopes: ["operator.read"],
        createdAt: expect.any(Number),
        revokedAt: null,
      });
      expect(JSON.stringify(listed)).not.toContain(tokens[0]);

      expect(await directory.revokeTokens(tenant, { id: ids[1]! })).toBe(1);
      expect(await directory.revokeTokens(tenant, { id: ids[1]! })).toBe(0);
      expect([...(await directory.goodTokens(ids)).keys()].toSorted()).toEqual([ids[0]!, ids[2]!].toSorted());
      expect(await directory.revokeTokens(tenant, { label: "laptop" })).toBe(1);
      expect(await directory.authenticate(tokens[2]!)).toBeNull();
      expect(await directory.authenticate(tokens[0]!)).not.toBeNull();
      expect(await directory.tokens(tenant)).toContainEqual(
        expect.objectContaining({ id: ids[2], revokedAt: expect.any(Number) }),
      );
    });

    it("revokes no token of another tenant", async () => {
      const { directory, tenant } = await storeWorld(open);
      const other = tenantId(unique("tenant"));
      await directory.addTenant(other, "shared");
      const token = newToken();
      await directory.addToken(tenant, token, ["operator.read"], "phone");
      const { tokenId } = (await directory.authenticate(token))!;
      expect(await directory.revokeTokens(other, { id: tokenId })).toBe(0);
      expect(await directory.revokeTokens(other, { label: "phone" })).toBe(0);
      expect(await directory.tokens(other)).toEqual([]);
      expect(await directory.authenticate(token)).not.toBeNull();
    });

    it("tells the limits that are said of a tenant, with its tokens and in the list", async () => {
      const { directory, tenant } = await storeWorld(open);
      const token = newToken();
      await directory.addToken(tenant, token, ["operator.admin"], "laptop");
      const limits = { requestsPerMinute: 60, queuedRuns: null };
      await directory.setLimits(tenant, limits);
      const principal = (await directory.authenticate(token))!;
      expect(principal.limits).toEqual({ requestsPerMinute: 60 });
      expect(await directory.goodTokens([principal.tokenId])).toEqual(
        new Map([[principal.tokenId, { tenant, limits: { requestsPerMinute: 60 } }]]),
      );
      expect((await directory.tenants()).find(({ id }) => id === tenant)).toMatchObject({
        limits,
        effectiveLimits: { requestsPerMinute: 60 },
      });
      await directory.setLimits(tenant, {});
      expect((await directory.authenticate(token))!.limits).toEqual({});
    });

    it("limits nobody who is not there", async () => {
      const { directory } = await storeWorld(open);
      const stranger = tenantId(unique("stranger"));
      for (const call of [
        () => directory.setLimits(stranger, {}),
        () => directory.usage(stranger),
        () => directory.moveTenant(stranger, "vip"),
        () => directory.removeTenant(stranger),
      ]) {
        await expect(call()).rejects.toMatchObject({ name: "HAError", code: "NOT_FOUND" });
      }
    });

    it("counts what a tenant has", async () => {
      const { directory, tenant, accept, worker, claim } = await storeWorld(open);
      const key = newKey();
      await accept(key);
      await accept(key);
      await accept(newKey());
      await claim(await worker(), key);
      expect(await directory.usage(tenant)).toEqual({
        sessions: 2,
        runningRuns: 1,
        queuedRuns: 2,
        storageBytes: expect.any(Number),
      });
    });

    it("removes a tenant that is disabled, with its tokens, sessions and runs, and gives its id to nobody", async () => {
      const { directory, tenant, accept, ledger, sessions } = await storeWorld(open);
      const token = newToken();
      await directory.addToken(tenant, token, ["operator.admin"], "laptop");
      const { tokenId } = (await directory.authenticate(token))!;
      const run = await accept(newKey());
      await expect(directory.removeTenant(tenant)).rejects.toMatchObject({ code: "REQUEST_CONFLICT" });
      await directory.setDisabled(tenant, true);
      await directory.removeTenant(tenant);
      await directory.removeTenant(tenant); // again, as after a crash
      expect((await directory.tenants()).map(({ id }) => id)).not.toContain(tenant);
      expect((await directory.goodTokens([tokenId])).size).toBe(0);
      expect(await ledger.get(tenant, run.runId)).toBeNull();
      expect((await sessions.list(tenant, { limit: 10 }).catch(() => ({ sessions: [] }))).sessions).toEqual(
        [],
      );
      await expect(directory.addTenant(tenant, "shared")).rejects.toMatchObject({ code: "REQUEST_CONFLICT" });
      await expect(directory.setDisabled(tenant, false)).rejects.toMatchObject({ code: "NOT_FOUND" });
    });

    it("removes no tenant one of whose runs is being executed", async () => {
      const { directory, tenant, accept, worker, claim, finish } = await storeWorld(open);
      const key = newKey();
      await accept(key);
      const grant = await claim(await worker(), key);
      await directory.setDisabled(tenant, true);
      await expect(directory.removeTenant(tenant)).rejects.toMatchObject({ code: "REQUEST_CONFLICT" });
      await finish(grant);
      await directory.removeTenant(tenant);
    });
  });
}
