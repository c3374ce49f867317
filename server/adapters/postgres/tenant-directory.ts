import { createHash } from "node:crypto";
import type pg from "pg";
import type { TenantId } from "../../core/ids.ts";
import type { LimitSettings, TenantLimits } from "../../core/tenant-limits.ts";
import { noTenant, notRemovable, type TenantDirectory, type TenantRecord } from "../../ports/directory.ts";
import { rowsOf } from "./query.ts";

const AUTHENTICATE = "/* directory.authenticate */ SELECT * FROM authenticate($1)";
const TENANTS = "/* directory.tenants */ SELECT * FROM list_tenants()";
const ADD_TENANT = "/* directory.add_tenant */ SELECT add_tenant($1, $2)";
// One statement, and so all or nothing; those that are as they should be cost no write. Its functions look anew at each
// call, so that the limits find a tenant that was added a moment before. Params: $1 tenants as JSON.
const ENSURE_TENANTS = `/* directory.ensure_tenants */
  WITH wanted AS MATERIALIZED (
    SELECT w.id, w.pool, w.limits, known.tenant_id IS NULL AS missing, known.limits AS before
    FROM jsonb_to_recordset($1) AS w(id text, pool text, limits jsonb)
    LEFT JOIN list_tenants() known ON known.tenant_id = w.id
  )
  SELECT missing, CASE WHEN missing THEN add_tenant(id, pool) END AS added,
    CASE WHEN limits <> coalesce(before, '{}') THEN set_tenant_limits(id, limits) END AS limited
  FROM wanted`;
const REPLACE_TOKEN = "/* directory.replace_token */ SELECT replace_token($1, $2, $3, $4)";
const ADD_TOKEN = "/* directory.add_token */ SELECT add_token($1, $2, $3, $4)";
const SET_DISABLED = "/* directory.set_disabled */ SELECT set_tenant_disabled($1, $2) AS known";
const SHARED_SECRET = "/* directory.shared_secret */ SELECT shared_secret($1, $2) AS secret";
const GOOD_TOKENS = "/* directory.good_tokens */ SELECT * FROM good_tokens($1)";
const SET_LIMITS = "/* directory.set_limits */ SELECT set_tenant_limits($1, $2) AS known";
const SET_DEFAULT_LIMITS = "/* directory.set_default_limits */ SELECT set_default_limits($1)";
const USAGE = "/* directory.usage */ SELECT * FROM tenant_usage($1)";
const MOVE = "/* directory.move */ SELECT move_tenant($1, $2) AS known";
const TOKENS = "/* directory.tokens */ SELECT * FROM list_tokens($1)";
const REVOKE = "/* directory.revoke_tokens */ SELECT revoke_tokens($1, $2, $3) AS revoked";
const REMOVE = "/* directory.remove */ SELECT remove_tenant($1, $2) AS state";
const MEASURE = "/* directory.measure_storage */ SELECT measure_storage($1) AS measured";

/** Rows of a table that one statement removes. */
const REMOVE_ROWS = 5_000;

interface TenantRow {
  readonly tenant_id: string;
  readonly pool: string;
  readonly disabled: boolean;
  readonly created_at: number;
  readonly limits: LimitSettings;
  readonly effective_limits: TenantLimits;
}

interface TokenRow {
  readonly token_hash: Buffer;
  readonly label: string;
  readonly scopes: string[];
  readonly created_at: number;
  readonly revoked_at: number | null;
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
      const [found] = await rows<{
        tenant_id: TenantId;
        scopes: string[];
        pool: string;
        limits: TenantLimits;
      }>("authenticate", AUTHENTICATE, [hash]);
      if (!found) return null;
      const { tenant_id: tenant, scopes, pool: of, limits } = found;
      return { tenant, scopes, pool: of, limits, tokenId: hash.toString("hex") };
    },

    tenants,

    async addTenant(id, tenantPool) {
      await rows("add a tenant", ADD_TENANT, [id, tenantPool]);
      return (await tenants()).find((tenant) => tenant.id === id) as TenantRecord;
    },

    async ensureTenants(wanted) {
      const done = await rows<{ missing: boolean }>("ensure tenants", ENSURE_TENANTS, [
        JSON.stringify(wanted),
      ]);
      return done.filter(({ missing }) => missing).length;
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
      if (found?.known !== true) throw noTenant(tenant);
    },

    async goodTokens(ids) {
      const hashes = ids.map((id) => Buffer.from(id, "hex"));
      const good = await rows<{ token_hash: Buffer; tenant_id: TenantId; limits: TenantLimits }>(
        "look at tokens",
        GOOD_TOKENS,
        [hashes],
      );
      return new Map(
        good.map(({ token_hash: hash, tenant_id: tenant, limits }) => [
          hash.toString("hex"),
          { tenant, limits },
        ]),
      );
    },

    async setLimits(tenant, limits) {
      const [found] = await rows<{ known: boolean }>("limit a tenant", SET_LIMITS, [tenant, limits]);
      if (found?.known !== true) throw noTenant(tenant);
    },

    async setDefaultLimits(limits) {
      await rows("set the default limits", SET_DEFAULT_LIMITS, [limits]);
    },

    async usage(tenant) {
      const [found] = await rows<{
        sessions: number;
        running_runs: number;
        queued_runs: number;
        storage_bytes: number;
      }>("measure a tenant", USAGE, [tenant]);
      if (!found) throw noTenant(tenant);
      return {
        sessions: found.sessions,
        runningRuns: found.running_runs,
        queuedRuns: found.queued_runs,
        storageBytes: found.storage_bytes,
      };
    },

    async moveTenant(tenant, to) {
      const [found] = await rows<{ known: boolean }>("move a tenant", MOVE, [tenant, to]);
      if (found?.known !== true) throw noTenant(tenant);
    },

    tokens: async (tenant) =>
      (await rows<TokenRow>("list tokens", TOKENS, [tenant])).map((row) => ({
        id: row.token_hash.toString("hex"),
        label: row.label,
        scopes: row.scopes,
        createdAt: row.created_at,
        revokedAt: row.revoked_at,
      })),

    async revokeTokens(tenant, which) {
      const values = "id" in which ? [Buffer.from(which.id, "hex"), null] : [null, which.label];
      const [found] = await rows<{ revoked: number }>("revoke tokens", REVOKE, [tenant, ...values]);
      return found?.revoked ?? 0;
    },

    async removeTenant(tenant) {
      for (;;) {
        const [found] = await rows<{ state: string }>("remove a tenant", REMOVE, [tenant, REMOVE_ROWS]);
        if (found?.state === "removed") return;
        if (found?.state === "enabled" || found?.state === "busy") throw notRemovable(tenant, found.state);
        if (found?.state !== "more") throw noTenant(tenant);
      }
    },

    async measureStorage(olderThanMs) {
      const [found] = await rows<{ measured: number }>("measure storage", MEASURE, [olderThanMs]);
      return found?.measured ?? 0;
    },

    async close() {}, // the pool belongs to whoever opened it
  };
}

const hashOf = (token: string): Buffer => createHash("sha256").update(token).digest();

const tenantRecord = (row: TenantRow): TenantRecord => ({
  id: row.tenant_id as TenantId,
  pool: row.pool,
  disabled: row.disabled,
  createdAt: row.created_at,
  limits: row.limits,
  effectiveLimits: row.effective_limits,
});
