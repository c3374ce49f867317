import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { tenantId } from "../../core/ids.ts";
import type { OpenStores } from "./store-fixture.ts";
import { storeWorld, unique } from "./store-world.ts";

const newToken = (): string => randomBytes(24).toString("base64url");

/** Every promise of TenantDirectory, to be run on each adapter. */
export function tenantDirectoryContract(adapter: string, open: OpenStores): void {
  describe(`TenantDirectory contract: ${adapter}`, () => {
    it("lists the tenants that were added", async () => {
      const { directory, tenant, pool } = await storeWorld(open);
      const listed = (await directory.tenants()).filter(({ id }) => id === tenant);
      expect(listed).toEqual([{ id: tenant, pool, disabled: false, createdAt: expect.any(Number) }]);
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

    it("adds many at once, and leaves those that are there in their pools", async () => {
      const { directory, tenant, pool } = await storeWorld(open);
      const ids = [1, 2, 3].map(() => tenantId(unique("tenant")));
      const wanted = [...ids.map((id) => ({ id, pool: "vip" })), { id: tenant, pool: "vip" }];
      expect(await directory.addTenants(wanted)).toBe(3);
      expect(await directory.addTenants(wanted)).toBe(0);
      expect(await directory.addTenants([])).toBe(0);
      const pools = new Map((await directory.tenants()).map((record) => [record.id, record.pool]));
      expect(wanted.map(({ id }) => pools.get(id))).toEqual(["vip", "vip", "vip", pool]);
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
        tokenLabel: expect.stringMatching(/^[0-9a-f]{6,16}$/),
      });
      const other = await directory.authenticate(reader);
      expect(other).toMatchObject({ tenant, scopes: ["operator.read", "operator.write"] });
      expect(other!.tokenLabel).not.toBe(principal!.tokenLabel);
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
      expect(await directory.disabledTenants()).not.toContain(tenant);
      await directory.setDisabled(tenant, true);
      await directory.setDisabled(tenant, true);
      expect(await directory.authenticate(token)).toBeNull();
      expect(await directory.disabledTenants()).toContain(tenant);
      expect(await directory.tenants()).toContainEqual(
        expect.objectContaining({ id: tenant, disabled: true }),
      );
      await directory.setDisabled(tenant, false);
      expect(await directory.authenticate(token)).toMatchObject({ tenant });
      expect(await directory.disabledTenants()).not.toContain(tenant);
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
  });
}
