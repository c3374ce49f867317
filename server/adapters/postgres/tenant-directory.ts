import { createHash } from "node:crypto";
import type pg from "pg";
import { HAError } from "../../core/errors.ts";
import type { TenantId } from "../../core/ids.ts";
import type { TenantDirectory, TenantRecord } from "../../ports/directory.ts";
import { rowsOf } from "./query.ts";

const AUTHENTICATE = "/* directory.authenticate */ SELECT * FROM authenticate($1)";
const TENANTS = "/* directory.tenants */ SELECT * FROM list_tenants()";
const ADD_TENANT = "/* directory.add_tenant */ SELECT add_tenant($1, $2)";
// Those that are there already cost no write. Params: $1 tenants as JSON.
const ADD_TENANTS = `/* directory.add_tenants */
  SELECT add_tenant(t.id, t.pool) FROM jsonb_to_recordset($1) AS t(id text, pool text)
  WHERE NOT EXISTS (SELECT FROM list_tenants() known WHERE known.tenant_id = t.id)`;
const REPLACE_TOKEN = "/* directory.replace_token */ SELECT replace_token($1, $2, $3, $4)";
const ADD_TOKEN = "/* directory.add_token */ SELECT add_token($1, $2, $3, $4)";
const SET_DISABLED = "/* directory.set_disabled */ SELECT set_tenant_disabled($1, $2) AS known";
const SHARED_SECRET = "/* directory.shared_secret */ SELECT shared_secret($1, $2) AS secret";
const DISABLED = "/* directory.disabled */ SELECT tenant_id FROM disabled_tenants()";

/** Characters of the hash that may appear in logs. */
const LABEL_LENGTH = 8;

interface TenantRow {
  readonly tenant_id: string;
  readonly pool: string;
  readonly disabled: boolean;
  readonly created_at: number;
}

/**
 * TenantDirectory on PostgreSQL. Whatever changes tenants and tokens needs a pool that is an operator (`role: null` with
 * the URL that migrated the database); the application's role may only authenticate and list.
 */
export function postgresTenantDirectory({ pool }: { readonly pool: pg.Pool }): TenantDirectory {
  const rows = rowsOf(pool);
  const tenants = async (): Promise<TenantRecord[]> =>
    (await rows<TenantRow>("list tenants", TENANTS, [])).map(tenantRecord);

  return {
    async authenticate(token) {
      const hash = hashOf(token);
      const [found] = await rows<{ tenant_id: string; scopes: string[]; pool: string }>(
        "authenticate",
        AUTHENTICATE,
        [hash],
      );
      if (!found) return null;
      const tokenLabel = hash.toString("hex").slice(0, LABEL_LENGTH);
      return { tenant: found.tenant_id as TenantId, scopes: found.scopes, pool: found.pool, tokenLabel };
    },

    tenants,

    async addTenant(id, tenantPool) {
      await rows("add a tenant", ADD_TENANT, [id, tenantPool]);
      return (await tenants()).find((tenant) => tenant.id === id) as TenantRecord;
    },

    async addTenants(wanted) {
      return (await rows("add tenants", ADD_TENANTS, [JSON.stringify(wanted)])).length;
    },

    async addToken(tenant, token, scopes, label) {
      await rows("add a token", ADD_TOKEN, [tenant, hashOf(token), scopes, label]);
    },

    async replaceToken(tenant, token, scopes, label) {
      await rows("replace a token", REPLACE_TOKEN, [tenant, hashOf(token), scopes, label]);
    },

    async sharedSecret(name, first) {
      const values = [name, Buffer.from(first)];
      const [found] = await rows<{ secret: Buffer }>("read a shared secret", SHARED_SECRET, values);
      return found?.secret ?? first;
    },

    async setDisabled(tenant, disabled) {
      const [found] = await rows<{ known: boolean }>("disable a tenant", SET_DISABLED, [tenant, disabled]);
      if (found?.known !== true) throw new HAError("NOT_FOUND", `there is no tenant ${tenant}`, { tenant });
    },

    disabledTenants: async () =>
      (await rows<{ tenant_id: string }>("list disabled tenants", DISABLED, [])).map(
        ({ tenant_id }) => tenant_id as TenantId,
      ),

    async close() {}, // the pool belongs to whoever opened it
  };
}

const hashOf = (token: string): Buffer => createHash("sha256").update(token).digest();

const tenantRecord = (row: TenantRow): TenantRecord => ({
  id: row.tenant_id as TenantId,
  pool: row.pool,
  disabled: row.disabled,
  createdAt: row.created_at,
});
